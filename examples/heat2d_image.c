/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heat2d_image.c - temperatures as colours, from black through red and gold to near white
 */
#include "heat2d.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HEAT2D_PNG
#include <png.h>
#endif

/* Evenly spaced stops; lightness rises all the way, so it reads in grey too. */
enum { STOPS = 9 };
static const uint8_t stops[STOPS][3] = {
    { 0, 0, 4 },     { 27, 12, 65 },  { 74, 12, 107 },  { 120, 28, 109 }, { 165, 44, 96 },
    { 207, 68, 70 }, { 237, 105, 37 }, { 251, 176, 38 }, { 252, 255, 190 },
};

static void colour_of(double heat, uint8_t rgb[3])
{
    double at = (heat < 0 ? 0 : heat > 1 ? 1 : heat) * (STOPS - 1);
    int low = at >= STOPS - 1 ? STOPS - 2 : (int)at;
    double part = at - low;
    for (int i = 0; i < 3; i++)
        rgb[i] = (uint8_t)(stops[low][i] + part * (stops[low + 1][i] - stops[low][i]) + 0.5);
}

static uint8_t *image_colours(const double *cells, int width, int height)
{
    size_t n = (size_t)width * (size_t)height;
    uint8_t *rgb = malloc(3 * n);
    for (size_t i = 0; rgb && i < n; i++) colour_of(cells[i], &rgb[3 * i]);
    return rgb;
}

#ifdef HEAT2D_PNG

static bool image_save(const char *path, const uint8_t *rgb, int width, int height)
{
    png_image image;
    memset(&image, 0, sizeof(image));
    image.version = PNG_IMAGE_VERSION;
    image.width = (png_uint_32)width;
    image.height = (png_uint_32)height;
    image.format = PNG_FORMAT_RGB;
    if (!png_image_write_to_file(&image, path, 0, rgb, 0, NULL)) {
        fprintf(stderr, "heat2d: %s: %s\n", path, image.message);
        return false;
    }
    printf("  image: %s\n", path);
    return true;
}

#else

static bool image_save(const char *path, const uint8_t *rgb, int width, int height)
{
    char name[4096];
    size_t len = strlen(path);
    bool png = len > 4 && strcmp(path + len - 4, ".png") == 0;
    snprintf(name, sizeof(name), "%.*s%s", (int)(png ? len - 4 : len), path, png ? ".ppm" : "");
    FILE *f = fopen(name, "wb");
    bool saved = f && fprintf(f, "P6\n%d %d\n255\n", width, height) > 0;
    saved = saved && fwrite(rgb, 3 * (size_t)width, (size_t)height, f) == (size_t)height;
    if (f && fclose(f) != 0) saved = false;
    if (!saved) {
        fprintf(stderr, "heat2d: %s: %s\n", name, strerror(errno));
        return false;
    }
    printf("  image: %s (a PPM: this build has no libpng; install libpng-dev and build again)\n",
           name);
    return true;
}

#endif

bool heat_image_write(const char *path, const double *cells, int width, int height)
{
    uint8_t *rgb = image_colours(cells, width, height);
    if (!rgb) {
        fprintf(stderr, "heat2d: no memory for an image of %d x %d\n", width, height);
        return false;
    }
    bool saved = image_save(path, rgb, width, height);
    free(rgb);
    return saved;
}
