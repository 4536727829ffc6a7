/*
 * Detects the objects in all images of a folder and prints the time of each stage.
 *
 *     detect_folder FOLDER [--model FILE] [--threads COUNT] [--json]
 *
 * Files that are not images are named on standard error and skipped.
 */
#include <picodet.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <string>
#include <vector>

namespace {

struct Arguments {
    std::filesystem::path folder;
    std::string model;
    unsigned threads = 1;
    bool json = false;
};

Arguments parse(int argc, char** argv) {
    Arguments arguments;
    for (int i = 1; i < argc; i++) {
        const std::string argument = argv[i];
        if (argument == "--json") {
            arguments.json = true;
        } else if (argument == "--model" && i + 1 < argc) {
            arguments.model = argv[++i];
        } else if (argument == "--threads" && i + 1 < argc) {
            arguments.threads = static_cast<unsigned>(std::strtoul(argv[++i], nullptr, 10));
        } else {
            arguments.folder = argument;
        }
    }
    if (arguments.folder.empty()) {
        throw std::invalid_argument("usage: detect_folder FOLDER [--model FILE] [--threads COUNT] [--json]");
    }
    return arguments;
}

std::vector<std::filesystem::path> files_of(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.is_regular_file()) {
            files.push_back(entry.path());
        }
    }
    std::sort(files.begin(), files.end());
    return files;
}

double median(std::vector<double> values) {
    if (values.empty()) {
        return 0.0;
    }
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

void run(const Arguments& arguments) {
    using Clock = std::chrono::steady_clock;
    const picodet::Model model =
        arguments.model.empty() ? picodet::Model() : picodet::Model::open(arguments.model);
    picodet::Options options;
    options.threads = arguments.threads;
    const picodet::Detector detector(model, options);

    std::vector<double> decode, preprocess, network, postprocess;
    std::size_t objects = 0;
    for (const auto& file : files_of(arguments.folder)) {
        try {
            const auto start = Clock::now();
            const picodet::Image image = picodet::Image::open(file.string());
            decode.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
            const picodet::Result result = detector.detect(image);
            const picodet_times times = result.times();
            preprocess.push_back(times.preprocess);
            network.push_back(times.network);
            postprocess.push_back(times.postprocess);
            objects += result.size();
            if (arguments.json) {
                std::cout << file.filename().string() << '\t' << result.json() << '\n';
            } else {
                std::cout << file.filename().string() << ": " << result.size() << " objects\n";
            }
        } catch (const picodet::Error& error) {
            std::cerr << file.filename().string() << ": " << error.what() << '\n';
        }
    }
    if (!arguments.json) {
        std::cout << std::fixed << std::setprecision(2) << decode.size() << " images, " << objects
                  << " objects; medians: decode " << median(decode) << " ms, preprocess " << median(preprocess)
                  << " ms, network " << median(network) << " ms, postprocess " << median(postprocess) << " ms\n";
    }
}

}  // namespace

int main(int argc, char** argv) {
    try {
        run(parse(argc, argv));
        return 0;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
