/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_LOG_H
#define BASE_LOG_H
/*
 * log.h - lines for people: to the caller's callback, or to standard error
 */
#include <stdbool.h>

enum log_level { LOG_NOTHING, LOG_ERROR, LOG_WARNING, LOG_CHOICE, LOG_DETAIL };

struct log {
    int level; /* lines above it are not made */
    void (*write)(void *arg, int level, const char *line); /* NULL: standard error */
    void *arg;
    char prefix[32]; /* "sinew[3]: ", for standard error */
};

/* One line, no newline. A NULL log is silent. */
void log_line(const struct log *log, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether log_line would write: to save the making of expensive arguments. */
static inline bool log_wants(const struct log *log, int level)
{
    return log && level <= log->level;
}

#endif
