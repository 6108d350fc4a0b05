/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * run_output.c - whole lines from many ranks to one terminal
 *
 * A source keeps what a rank wrote until the line is whole, then adds it to the sink in one piece.
 * A line longer than LINE_LIMIT goes out in pieces of that size. A sink that is not read fills, and
 * the sources before it are no longer read: the ranks wait, as they would on a slow terminal, and
 * memory stays bounded. An unfinished last line is written as it is; the newline it lacks is added
 * only if another rank goes on.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launch/run.h"

enum { READ_BYTES = 65536, LINE_LIMIT = 1 << 20, SINK_LIMIT = 1 << 18 };

/* What poll() calls writable takes at least this much without blocking (PIPE_BUF). */
enum { WRITE_BYTES = 4096, WRITES_PER_TURN = 64 };

static char *grown(char *bytes, size_t *cap, size_t need)
{
    size_t more = *cap ? *cap : READ_BYTES;
    if (need <= *cap) return bytes;
    while (more < need) more *= 2;
    bytes = realloc(bytes, more);
    if (!bytes) {
        fprintf(stderr, "sinewrun: no memory for %zu bytes of output\n", more);
        exit(RUN_STATUS_FAILED); /* the keeper ends the ranks */
    }
    *cap = more;
    return bytes;
}

/* --- sinks ------------------------------------------------------------------------------------ */

bool sink_full(const struct sink *s)
{
    return !s->broken && s->len - s->at > SINK_LIMIT;
}

static void sink_put(struct sink *s, const char *bytes, size_t len)
{
    if (s->at == s->len) s->at = s->len = 0;
    s->bytes = grown(s->bytes, &s->cap, s->len + len);
    memcpy(s->bytes + s->len, bytes, len);
    s->len += len;
}

void sink_add(struct sink *s, const void *who, const char *bytes, size_t len)
{
    if (s->broken || len == 0) return;
    if (s->unfinished && s->unfinished != who) sink_put(s, "\n", 1);
    sink_put(s, bytes, len);
    s->unfinished = bytes[len - 1] == '\n' ? NULL : who;
}

static bool sink_ready(const struct sink *s)
{
    struct pollfd p = { .fd = s->fd, .events = POLLOUT };
    return poll(&p, 1, 0) == 1;
}

void sink_flush(struct sink *s)
{
    for (int i = 0; i < WRITES_PER_TURN && sink_waits(s) && sink_ready(s); i++) {
        size_t len = s->len - s->at;
        ssize_t n = write(s->fd, s->bytes + s->at, len < WRITE_BYTES ? len : WRITE_BYTES);
        if (n >= 0) {
            s->at += (size_t)n;
        } else if (errno != EINTR && errno != EAGAIN) {
            s->broken = true;
        }
    }
}

/* --- sources ---------------------------------------------------------------------------------- */

static void source_emit(struct source *s, size_t len)
{
    if (s->prefix[0] && s->sink->unfinished != s) {
        char head[sizeof(s->prefix)];
        memcpy(head, s->prefix, sizeof(head));
        sink_add(s->sink, s, head, strlen(head));
    }
    sink_add(s->sink, s, s->bytes, len);
}

/* The prefix goes before each line, so lines go one by one; without it all whole ones together. */
static size_t source_whole(const struct source *s)
{
    const char *end =
        s->prefix[0] ? memchr(s->bytes, '\n', s->len) : memrchr(s->bytes, '\n', s->len);
    if (end) return (size_t)(end - s->bytes) + 1;
    if (!s->whole) return s->len;
    return s->len >= LINE_LIMIT ? s->len : 0;
}

static void source_forward(struct source *s)
{
    size_t len;
    while (s->len > 0 && (len = source_whole(s)) > 0) {
        source_emit(s, len);
        memmove(s->bytes, s->bytes + len, s->len - len);
        s->len -= len;
    }
}

void source_end(struct source *s)
{
    if (s->fd < 0) return;
    if (s->len > 0) source_emit(s, s->len);
    s->len = 0;
    close(s->fd);
    s->fd = -1;
    free(s->bytes);
    s->bytes = NULL;
    s->cap = 0;
}

void source_read(struct source *s)
{
    s->bytes = grown(s->bytes, &s->cap, s->len + READ_BYTES);
    ssize_t n = read(s->fd, s->bytes + s->len, READ_BYTES);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (n <= 0 || s->sink->broken) {
        /* Nobody reads what this rank writes: closing tells it so, as a shell's pipe would. */
        source_end(s);
        return;
    }
    s->len += (size_t)n;
    source_forward(s);
}

/* --- input ------------------------------------------------------------------------------------ */

static void feeder_end(struct feeder *f)
{
    close(f->to);
    f->to = -1;
}

void feeder_read(struct feeder *f)
{
    ssize_t n = read(STDIN_FILENO, f->bytes, sizeof(f->bytes));
    if (n < 0 && errno == EINTR) return;
    if (n <= 0) {
        feeder_end(f);
        return;
    }
    f->at = 0;
    f->len = (size_t)n;
}

void feeder_write(struct feeder *f)
{
    ssize_t n = write(f->to, f->bytes + f->at, f->len - f->at);
    if (n >= 0)
        f->at += (size_t)n;
    else if (errno != EINTR && errno != EAGAIN)
        feeder_end(f);
}
