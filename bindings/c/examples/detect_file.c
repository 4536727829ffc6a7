/*
 * Detects the objects in an image file and prints one line per object.
 *
 *     detect_file IMAGE [MODEL] [--json] [--draw FILE]
 *
 * MODEL is a model file; without it, the model that the library contains is used.
 */
#include <picodet.h>

#include <stdio.h>
#include <string.h>

/* Prints the message of the last call. */
static int fail(const char *what) {
    fprintf(stderr, "%s: %s\n", what, picodet_last_error());
    return 1;
}

static void print_lines(const picodet_result *result, const char *file) {
    const picodet_detection *found = picodet_result_items(result);
    const size_t count = picodet_result_count(result);
    size_t i;
    for (i = 0; i < count; i++) {
        printf("%s: %s %.3f [%.1f, %.1f, %.1f, %.1f]\n", file, found[i].class_name, (double)found[i].score,
               (double)found[i].x1, (double)found[i].y1, (double)found[i].x2, (double)found[i].y2);
    }
    if (count == 0) {
        printf("%s: nothing found\n", file);
    }
}

/* Detects in a decoded image, prints, and draws where `drawing` is not NULL. */
static int detect(const picodet_detector *detector, const picodet_image *image, const char *file, int json,
                  const char *drawing) {
    picodet_result *result = NULL;
    int code = 0;
    if (picodet_detect(detector, image, &result) != PICODET_OK) {
        return fail(file);
    }
    if (json) {
        printf("%s\n", picodet_result_json(result));
    } else {
        print_lines(result, file);
    }
    if (drawing != NULL && picodet_result_draw(result, image, drawing) != PICODET_OK) {
        code = fail(drawing);
    }
    picodet_result_free(result);
    return code;
}

int main(int argc, char **argv) {
    const char *file = NULL, *model_file = NULL, *drawing = NULL;
    int json = 0, code = 1, i;
    picodet_model *model = NULL;
    picodet_detector *detector = NULL;
    picodet_image image;
    picodet_status status;

    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            json = 1;
        } else if (strcmp(argv[i], "--draw") == 0 && i + 1 < argc) {
            drawing = argv[++i];
        } else if (file == NULL) {
            file = argv[i];
        } else {
            model_file = argv[i];
        }
    }
    if (file == NULL) {
        fprintf(stderr, "usage: detect_file IMAGE [MODEL] [--json] [--draw FILE]\n");
        return 2;
    }
    if (picodet_abi_version() != PICODET_ABI_VERSION) {
        fprintf(stderr, "the library belongs to another version of picodet.h\n");
        return 2;
    }

    memset(&image, 0, sizeof image);
    status = model_file != NULL ? picodet_model_open(model_file, &model) : picodet_model_embedded(NULL, &model);
    if (status != PICODET_OK) {
        fail(model_file != NULL ? model_file : "model");
    } else if (picodet_detector_new(model, NULL, &detector) != PICODET_OK) {
        fail("detector");
    } else if (picodet_image_open(file, 0, &image) != PICODET_OK) {
        fail(file);
    } else {
        code = detect(detector, &image, file, json, drawing);
    }
    picodet_image_free(&image);
    picodet_detector_free(detector);
    picodet_model_free(model);
    return code;
}
