/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* No character is cut in two. */
void text_mark_cut(const struct text *t)
{
    if (t->need < t->cap || t->cap < sizeof("...")) return;
    size_t at = t->cap - sizeof("...");
    while (at > 0 && ((unsigned char)t->at[at] & 0xc0) == 0x80) at--; /* UTF-8, RFC 3629 */
    memcpy(t->at + at, "...", sizeof("..."));
}

int why_set(struct why *why, int status, const char *format, ...)
{
    va_list args;
    if (!why) return status;
    va_start(args, format);
    int len = vsnprintf(why->text, sizeof(why->text), format, args);
    va_end(args);
    text_mark_cut(&(struct text){ why->text, sizeof(why->text), len > 0 ? (size_t)len : 0 });
    return status;
}

int why_wrap(struct why *why, int status, const char *format, ...)
{
    char outer[WHY_MAX], inner[WHY_MAX];
    va_list args;
    if (!why) return status;
    va_start(args, format);
    vsnprintf(outer, sizeof(outer), format, args);
    va_end(args);
    memcpy(inner, why->text, sizeof(inner));
    struct text t = text_into(why->text, sizeof(why->text));
    text_add(&t, "%s", outer);
    if (inner[0]) text_add(&t, ": %s", inner);
    text_mark_cut(&t);
    return status;
}

struct text text_into(char *buffer, size_t cap)
{
    if (cap > 0) buffer[0] = '\0';
    return (struct text){ buffer, cap, 0 };
}

void text_add(struct text *t, const char *format, ...)
{
    size_t room = t->need < t->cap ? t->cap - t->need : 0;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(room ? t->at + t->need : NULL, room, format, args);
    va_end(args);
    if (n > 0) t->need += (size_t)n;
}

const char *text_duration(int64_t ns, char buffer[TEXT_DURATION_MAX])
{
    double v = (double)ns;
    if (ns >= 1000000000)
        snprintf(buffer, TEXT_DURATION_MAX, "%.3g s", v / 1e9);
    else if (ns >= 1000000)
        snprintf(buffer, TEXT_DURATION_MAX, "%.3g ms", v / 1e6);
    else
        snprintf(buffer, TEXT_DURATION_MAX, "%.3g us", v / 1e3);
    return buffer;
}
