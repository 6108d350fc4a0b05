/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "transport/tcp/internal.h"

static const struct advice {
    int error, status;
    const char *text;
} advices[] = {
    { ECONNREFUSED, SINEW_EPEER,
      "no process listens there: the rank left or died, or a firewall or another host answers" },
    { ECONNRESET, SINEW_EPEER, "its process is gone, or something between resets connections" },
    { EPIPE, SINEW_EPEER, "its process is gone" },
    { ETIMEDOUT, SINEW_ETIMEDOUT, "its host does not answer: check cable, power and firewall" },
    { EHOSTUNREACH, SINEW_EUNREACHABLE,
      "no route or no such host: check the network, or choose another with SINEW_TCP_INTERFACE" },
    { ENETUNREACH, SINEW_EUNREACHABLE,
      "no route: check the network, or choose another with SINEW_TCP_INTERFACE" },
    { EMFILE, SINEW_ELIMIT, "this process is out of descriptors: raise ulimit -n" },
    { ENFILE, SINEW_ELIMIT, "this host is out of descriptors: raise fs.file-max" },
    { ENOBUFS, SINEW_ENOMEM, "the kernel is out of memory for sockets" },
    { ENOMEM, SINEW_ENOMEM, "the kernel is out of memory" },
    { EADDRNOTAVAIL, SINEW_ELIMIT,
      "no local port is free (net.ipv4.ip_local_port_range), or the address is not this host's" },
    { EACCES, SINEW_EACCESS, "a firewall or security module forbids it" },
    { EPERM, SINEW_EACCESS, "a firewall or security module forbids it" },
    { EBADMSG, SINEW_EPROTO,
      "bytes were changed on the way: by a cable, NIC or switch that fails, or by somebody between" },
    { EAFNOSUPPORT, SINEW_ENOTSUP, "this host does not have that address family" },
};

static const struct advice *advice_for(int error)
{
    for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
        if (advices[i].error == error) return &advices[i];
    return NULL;
}

int tcp_status(int error)
{
    const struct advice *advice = advice_for(error);
    return advice ? advice->status : SINEW_EIO;
}

int report_errno(struct why *why, int status, int error, const char *format, ...)
{
    char what[WHY_MAX / 2];
    const struct advice *advice = advice_for(error);
    const char *name = strerrorname_np(error), *text = strerrordesc_np(error);
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    return why_set(why, status, "%s: %s (%s)%s%s", what, text ? text : "unknown error",
                   name ? name : "?", advice ? ": " : "", advice ? advice->text : "");
}

void tcp_complain(struct tcp *t, int level, const char *format, ...)
{
    char text[WHY_MAX + TCP_NAME_MAX], more[64] = "";
    struct complaints *c = level <= LOG_WARNING ? &t->complaints : &t->details;
    va_list args;
    if (!log_wants(t->base.opt.log, level)) return;
    int64_t now = tcp_now(t);
    if (now < c->next_ns) {
        c->silenced++;
        return;
    }
    if (c->silenced)
        snprintf(more, sizeof(more), " (and %" PRIu64 " lines like it were left out)", c->silenced);
    *c = (struct complaints){ .next_ns = now + TCP_COMPLAINT_EVERY };
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_line(t->base.opt.log, level, "tcp: %s%s", text, more);
}
