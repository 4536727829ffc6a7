package dev.picodet;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.util.Arrays;

/** Prints the detections in the files of a folder: one line per file with its name, a tabulator and an array in JSON. */
final class Pictures {
    private Pictures() {}

    public static void main(String[] arguments) throws IOException {
        byte[] model = Files.readAllBytes(new File(arguments[0]).toPath());
        File[] files = new File(arguments[1]).listFiles();
        Arrays.sort(files);
        try (Detector detector = new Detector(model, new Options())) {
            for (File file : files) {
                try {
                    System.out.println(file.getName() + "\t" + json(detector, Files.readAllBytes(file.toPath())));
                } catch (ImageException error) {
                    System.err.println(file.getName() + ": " + error.getMessage());
                }
            }
        }
    }

    private static String json(Detector detector, byte[] file) {
        StringBuilder json = new StringBuilder("[");
        for (Detection found : detector.detect(file)) {
            String box = "[" + found.left + "," + found.top + "," + found.right + "," + found.bottom + "]";
            json.append(json.length() > 1 ? "," : "");
            json.append("{\"class\":").append(found.classId).append(",\"name\":\"").append(found.label);
            json.append("\",\"score\":").append(found.score).append(",\"box\":").append(box).append("}");
        }
        return json.append("]").toString();
    }
}
