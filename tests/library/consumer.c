/* A program as other people write it, in C and in C++: what is on a photo? */
#include <heed.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const struct heed_error *error)
{
    fprintf(stderr, "%s\n", error->text);
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    static unsigned char bytes[1 << 20];
    FILE *const file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (!file)
        return EXIT_FAILURE;
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);

    struct heed_error error;
    struct heed_model *model;
    struct heed_crew *crew;
    struct heed_context *context;
    if (heed_model_load_builtin(NULL, &model, &error) != HEED_OK)
        return fail(&error);
    if (heed_crew_create(heed_cpu_cores() - 1, heed_cpu_cores(), &crew, &error) != HEED_OK)
        return fail(&error);
    if (heed_context_create(crew, heed_model_memory(model, 4096, 4096, heed_cpu_cores()), &context, &error) != HEED_OK)
        return fail(&error);

    struct heed_detect_options options = { .limits = { 0, 0, 0 } };
    options.score_min = 0.2f;
    options.masks = true;
    struct heed_result result;
    if (heed_detect(context, model, bytes, size, &options, &result, &error) != HEED_OK)
        return fail(&error);
    for (size_t i = 0; i < result.detection_count; i++)
        printf("%s %.2f\n", heed_model_info(model)->labels[result.detections[i].class_index].name,
               (double)result.detections[i].score);
    const int status = result.detection_count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;

    heed_result_deinit(&result);
    heed_context_free(context);
    heed_crew_free(crew);
    heed_model_free(model);
    return status;
}
