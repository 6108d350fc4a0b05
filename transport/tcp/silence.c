/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * silence.c - is the peer's kernel still there? (repair.h says what counts as silence)
 *
 * Lines that matter to somebody are looked at by the clock; a line that is silent for too long is
 * suspected and made anew. A process that computes or is stopped has a kernel that answers.
 */
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <errno.h>

#include "base/config.h"
#include "transport/tcp/internal.h"

bool line_signs(const struct tcp_link *l, struct silence_signs *signs)
{
    struct tcp_info info = { 0 };
    socklen_t len = sizeof(info);
    if (getsockopt(l->source.fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0) return false;
    *signs = (struct silence_signs){ .unacknowledged = info.tcpi_unacked,
                                     .resent = info.tcpi_retransmits,
                                     .probes = info.tcpi_probes,
                                     .heard_ago = (int64_t)info.tcpi_last_ack_recv * 1000000 };
    return true;
}

void line_mark(struct tcp_link *l)
{
    struct tcp *t = tcp_under(l);
    if (list_empty(&l->looked)) list_append(&t->looked, &l->looked);
}

/* Somebody waits for what this line carries. */
static bool line_matters(const struct tcp_link *l)
{
    const struct session *s = &l->session;
    if (l->line == LINE_SHAKING || l->line == LINE_GREETING) return true;
    return l->line == LINE_OPEN && (s->sent != s->acknowledged || s->received != s->told ||
                                    tcp_under(l)->awaited == l);
}

/* The kernel's own probes come only after seconds. This frame makes it owe an acknowledgement;
 * between frames, so that none is cut in two. */
static void line_probe(struct tcp_link *l, int64_t now)
{
    uint8_t bytes[FRAME_HEADER + FRAME_SUMS];
    const ssize_t len = (ssize_t)session_header(&l->session);
    const struct frame ack = { .kind = FRAME_ACK, .epoch = l->session.my_epoch,
                               .acknowledged = l->session.received };
    l->probed_at = now;
    if (!session_all_sent(&l->session) || l->bye_queued) return;
    frame_encode(bytes, &ack);
    if (l->session.sums) frame_sum(bytes, 0);
    ssize_t n = tcp_bytes_out(l->tls, l->source.fd, bytes, (size_t)len);
    if (n >= 0 && n < len) line_failed(l, EPIPE, "a frame was cut");
    if (n == len) l->session.told = l->session.received;
}

static void line_suspect(struct tcp_link *l, int64_t since)
{
    char duration[TEXT_DURATION_MAX];
    struct tcp *t = tcp_under(l);
    struct why why;
    why_set(&why, SINEW_EPEER, "%s: its host has been silent for %s", l->name,
            text_duration(tcp_now(t) - since, duration));
    if (l->line != LINE_OPEN) {
        line_turn_failed(l, SINEW_EPEER, true, "silent", &why);
        return;
    }
    /* Less, where repair_deadline is short, may be a kernel that had no processor for a while; if
     * it takes longer to repair, that is told (line_opened). */
    if (tcp_now(t) - since >= REPAIR_SUSPECT_NS)
        tcp_complain(t, LOG_WARNING, "%s: suspected, connecting anew", why.text);
    l->base.why = why;
    line_lost(l, since);
}

static void line_look(struct tcp_link *l, int64_t now)
{
    int64_t deadline = l->base.transport->opt.config->repair_deadline;
    int64_t patience = silence_patience(deadline);
    struct silence_signs signs;
    if (!line_signs(l, &signs)) return;
    int64_t silent = silence_look(&l->silence, now, silence_look_every(deadline), &signs);
    if (silent >= patience) {
        line_suspect(l, now - silent);
    } else if (l->line == LINE_OPEN) {
        bool due = signs.unacknowledged || signs.probes;
        bool quiet = !due && signs.heard_ago >= patience / 2 && now - l->probed_at >= patience;
        if (quiet || l->session.received != l->session.told) line_probe(l, now);
    }
}

void line_look_all(struct tcp *t, int64_t now)
{
    struct list todo, *e;
    if (!t->awaited_again) t->awaited = NULL;
    t->awaited_again = false;
    list_init(&todo);
    list_splice(&todo, &t->looked);
    while ((e = list_take(&todo))) {
        struct tcp_link *l = LIST_OWNER(e, struct tcp_link, looked);
        if (!line_matters(l)) {
            l->silence = (struct silence){ 0 };
            continue;
        }
        list_append(&t->looked, &l->looked);
        line_look(l, now);
    }
}
