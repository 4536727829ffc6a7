/*
 * picodet for C++17: classes that own handles, views, and exceptions.
 *
 * Objects may be moved, not copied. Any number of threads may use one object at the same time, except while it is moved or
 * destroyed. Every failure is thrown as picodet::Error.
 */
#ifndef PICODET_HPP
#define PICODET_HPP

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "picodet.h"

namespace picodet {

/// The failure of a call.
class Error : public std::runtime_error {
public:
    Error(picodet_status status, const std::string& message) : std::runtime_error(message), status_(status) {}

    /// Returns one of PICODET_ERROR_.
    picodet_status status() const noexcept { return status_; }

private:
    picodet_status status_;
};

/// Throws Error unless `status` is PICODET_OK.
inline void check(picodet_status status) {
    if (status != PICODET_OK) {
        throw Error(status, picodet_last_error());
    }
}

/// A contiguous array that belongs to another object.
template <typename T>
class View {
public:
    View() noexcept = default;
    View(const T* data, std::size_t size) noexcept : data_(data), size_(size) {}

    const T* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    const T* begin() const noexcept { return data_; }
    const T* end() const noexcept { return size_ == 0 ? data_ : data_ + size_; }
    const T& operator[](std::size_t index) const noexcept { return data_[index]; }

    /// Returns an element; throws std::out_of_range.
    const T& at(std::size_t index) const {
        if (index >= size_) {
            throw std::out_of_range("picodet::View::at");
        }
        return data_[index];
    }

private:
    const T* data_ = nullptr;
    std::size_t size_ = 0;
};

/// Width and height in pixels.
struct Size {
    std::uint32_t width = 0;
    std::uint32_t height = 0;
};

namespace detail {

/// Owns a handle.
template <typename T, picodet_status (*Free)(T*)>
class Handle {
public:
    Handle() noexcept = default;
    explicit Handle(T* handle) noexcept : handle_(handle) {}
    Handle(Handle&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Handle& operator=(Handle&& other) noexcept {
        if (this != &other) {
            Free(std::exchange(handle_, std::exchange(other.handle_, nullptr)));
        }
        return *this;
    }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() { Free(handle_); }

    T* get() const noexcept { return handle_; }

private:
    T* handle_ = nullptr;
};

/// Returns a text of the library; throws if it is NULL.
inline std::string_view text(const char* text) {
    if (text == nullptr) {
        throw Error(PICODET_ERROR_ARGUMENT, picodet_last_error());
    }
    return text;
}

}  // namespace detail

/// A model: a network with its weights and class names.
class Model {
public:
    /// Opens the default model of the library.
    Model() : Model(embedded()) {}

    /// Opens a model file.
    static Model open(const std::string& file) {
        picodet_model* model = nullptr;
        check(picodet_model_open(file.c_str(), &model));
        return Model(model);
    }

    /// Opens the bytes of a model file.
    static Model from_bytes(const void* data, std::size_t size) {
        picodet_model* model = nullptr;
        check(picodet_model_from_bytes(static_cast<const std::uint8_t*>(data), size, &model));
        return Model(model);
    }

    /// Opens a model that the library contains; NULL is the default model.
    static Model embedded(const char* name = nullptr) {
        picodet_model* model = nullptr;
        check(picodet_model_embedded(name, &model));
        return Model(model);
    }

    std::size_t class_count() const noexcept { return picodet_model_class_count(get()); }

    /// Returns the name of a class, valid as long as the model.
    std::string_view class_name(std::size_t class_id) const {
        return detail::text(picodet_model_class_name(get(), class_id));
    }

    /// Returns the size of the network input.
    Size input_size() const {
        Size size;
        check(picodet_model_input_size(get(), &size.width, &size.height));
        return size;
    }

    /// Returns a value of the metadata, empty for an unknown key, valid as long as the model.
    std::string_view metadata(const std::string& key) const noexcept {
        const char* value = picodet_model_metadata(get(), key.c_str());
        return value == nullptr ? std::string_view() : std::string_view(value);
    }

    const picodet_model* get() const noexcept { return handle_.get(); }

private:
    explicit Model(picodet_model* model) noexcept : handle_(model) {}
    detail::Handle<picodet_model, picodet_model_free> handle_;
};

/// The options of a detector, with their defaults.
struct Options : picodet_options {
    Options() : picodet_options() { check(picodet_options_init(this, sizeof(picodet_options))); }
};

/// An image: pixels of the caller, or decoded pixels that the object owns.
class Image {
public:
    /// Describes pixels of the caller; `size` is their number of bytes, `stride` 0 means rows without gaps.
    static Image view(const void* data, std::size_t size, std::uint32_t width, std::uint32_t height,
                      std::int32_t format = PICODET_FORMAT_RGB, std::size_t stride = 0,
                      std::int32_t orientation = 0) noexcept {
        Image image;
        image.image_.data = static_cast<const std::uint8_t*>(data);
        image.image_.size = size;
        image.image_.width = width;
        image.image_.height = height;
        image.image_.format = format;
        image.image_.stride = stride;
        image.image_.orientation = orientation;
        return image;
    }

    /// Reads and decodes an image file; `max_pixels` 0 is 100 million.
    static Image open(const std::string& file, std::uint64_t max_pixels = 0) {
        Image image;
        check(picodet_image_open(file.c_str(), max_pixels, &image.image_));
        return image;
    }

    /// Decodes the bytes of an image file; `max_pixels` 0 is 100 million.
    static Image decode(const void* data, std::size_t size, std::uint64_t max_pixels = 0) {
        Image image;
        check(picodet_image_decode(static_cast<const std::uint8_t*>(data), size, max_pixels, &image.image_));
        return image;
    }

    Image(Image&& other) noexcept : image_(std::exchange(other.image_, picodet_image())) {}
    Image& operator=(Image&& other) noexcept {
        if (this != &other) {
            picodet_image_free(&image_);
            image_ = std::exchange(other.image_, picodet_image());
        }
        return *this;
    }
    Image(const Image&) = delete;
    Image& operator=(const Image&) = delete;
    ~Image() { picodet_image_free(&image_); }

    /// Returns the fields, as for planes of chroma; `owner` must not be changed.
    picodet_image& fields() noexcept { return image_; }
    const picodet_image& fields() const noexcept { return image_; }

private:
    Image() noexcept : image_() {}
    picodet_image image_;
};

/// The objects that were detected in one image: a range of picodet_detection, ordered by class, then by falling score.
class Result {
public:
    View<picodet_detection> detections() const noexcept {
        return View<picodet_detection>(picodet_result_items(get()), picodet_result_count(get()));
    }
    std::size_t size() const noexcept { return picodet_result_count(get()); }
    bool empty() const noexcept { return size() == 0; }
    const picodet_detection* begin() const noexcept { return picodet_result_items(get()); }
    const picodet_detection* end() const noexcept { return detections().end(); }
    const picodet_detection& operator[](std::size_t index) const noexcept { return begin()[index]; }

    /// Returns the detections as a JSON array, valid as long as the result.
    std::string_view json() const { return detail::text(picodet_result_json(get())); }

    /// Returns the size of the upright image.
    Size image_size() const {
        Size size;
        check(picodet_result_image_size(get(), &size.width, &size.height));
        return size;
    }

    /// Returns the time of each stage in milliseconds.
    picodet_times times() const {
        picodet_times times;
        check(picodet_result_times(get(), &times));
        return times;
    }

    /// Writes the image of the detection with the detections drawn in: JPEG for .jpg and .jpeg, otherwise PNG.
    void draw(const Image& image, const std::string& file) const {
        check(picodet_result_draw(get(), &image.fields(), file.c_str()));
    }

    const picodet_result* get() const noexcept { return handle_.get(); }

private:
    friend class Detector;
    explicit Result(picodet_result* result) noexcept : handle_(result) {}
    detail::Handle<picodet_result, picodet_result_free> handle_;
};

/// A model prepared for detection.
class Detector {
public:
    /// Prepares the default model of the library.
    Detector() : Detector(Model()) {}

    /// Prepares a model, which is not needed afterwards.
    explicit Detector(const Model& model, const picodet_options& options = Options()) {
        picodet_detector* detector = nullptr;
        check(picodet_detector_new(model.get(), &options, &detector));
        handle_ = detail::Handle<picodet_detector, picodet_detector_free>(detector);
    }

    /// Detects the objects in an image.
    Result detect(const Image& image) const { return detect(image.fields()); }

    Result detect(const picodet_image& image) const {
        picodet_result* result = nullptr;
        check(picodet_detect(get(), &image, &result));
        return Result(result);
    }

    /// Detects the objects in an image file.
    Result detect_file(const std::string& file) const {
        picodet_result* result = nullptr;
        check(picodet_detect_file(get(), file.c_str(), &result));
        return Result(result);
    }

    /// Returns the size of the network input.
    Size input_size() const {
        Size size;
        check(picodet_detector_input_size(get(), &size.width, &size.height));
        return size;
    }

    const picodet_detector* get() const noexcept { return handle_.get(); }

private:
    detail::Handle<picodet_detector, picodet_detector_free> handle_;
};

}  // namespace picodet

#endif  // PICODET_HPP
