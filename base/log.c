/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

enum { LINE_MAX_BYTES = 2048 };

static void write_stderr(const struct log *log, const char *line)
{
    char whole[LINE_MAX_BYTES + 64];
    int n = snprintf(whole, sizeof(whole), "%s%s\n", log->prefix, line);
    if (n > 0 && write(STDERR_FILENO, whole, (size_t)n) < 0) return; /* nobody to tell */
}

void log_line(const struct log *log, int level, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;
    if (!log_wants(log, level)) return;
    va_start(args, format);
    int n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    text_mark_cut(&(struct text){ line, sizeof(line), n > 0 ? (size_t)n : 0 });
    if (log->write)
        log->write(log->arg, level, line);
    else
        write_stderr(log, line);
}
