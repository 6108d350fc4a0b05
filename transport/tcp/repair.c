/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/tcp/repair.h"

static int64_t time_after(int64_t since, int64_t deadline)
{
    return deadline > INT64_MAX - since ? INT64_MAX : since + deadline;
}

void repair_begin(struct repair *r, int64_t since, int64_t deadline, int64_t lived)
{
    if (lived >= REPAIR_LIVED_NS || r->pause == 0) r->pause = REPAIR_PAUSE_MIN;
    r->until = time_after(since, deadline);
    r->held_since = 0;
    r->attempts = 0;
}

int64_t repair_attempt(struct repair *r, int64_t now, int64_t patience)
{
    int64_t until = time_after(now, patience);
    r->attempts++;
    r->held_since = 0;
    return r->until > now && r->until < until ? r->until : until;
}

void repair_held(struct repair *r, int64_t now)
{
    r->held_since = now;
}

bool repair_is_over(const struct repair *r, int64_t now)
{
    return now >= r->until && r->attempts > 0;
}

void repair_turn(struct repair *r, int64_t now)
{
    int64_t held = r->held_since ? now - r->held_since : 0;
    r->until = time_after(r->until, held);
    if (held >= REPAIR_LIVED_NS && r->until < now + REPAIR_PAUSE_MAX)
        r->until = now + REPAIR_PAUSE_MAX; /* whoever wakes after the deadline has a chance yet */
    r->held_since = 0;
}

int64_t repair_failed(struct repair *r, int64_t now, uint64_t draw)
{
    int64_t pause = r->pause + (int64_t)(draw % (uint64_t)(r->pause / 4));
    repair_turn(r, now);
    r->pause *= 2;
    if (r->pause > REPAIR_PAUSE_MAX) r->pause = REPAIR_PAUSE_MAX;
    return now + pause < r->until ? now + pause : r->until;
}

void repair_answered(struct repair *r, int64_t now, int64_t deadline)
{
    r->until = time_after(now, deadline);
    r->held_since = 0;
}

enum verdict repair_judge(const struct repair_end *end, const struct join *join)
{
    if (!end->session) return join->yours ? VERDICT_UNKNOWN : VERDICT_NEW;
    if (!session_is(end->session, join)) return join->yours ? VERDICT_UNKNOWN : VERDICT_DOUBT;
    if (end->ends) return join->yours ? VERDICT_UNKNOWN : VERDICT_BUSY;
    if (join->attempt <= end->peer_attempt || join->received < end->session->acknowledged)
        return VERDICT_STALE;
    if (end->attempt_stands) return VERDICT_BUSY;
    return VERDICT_TAKE;
}

bool repair_stands(int my_rank, int peer_rank, int64_t since, int64_t now)
{
    return my_rank < peer_rank && now - since < REPAIR_STANDS_NS;
}

int64_t silence_look(struct silence *s, int64_t now, int64_t every,
                     const struct silence_signs *signs)
{
    enum { PROBES_PROVE = 2, RESENT_PROVES = 4 };
    int64_t gap = now - s->looked_at;
    bool heard = signs->heard_ago < gap && signs->resent < RESENT_PROVES;
    if (!signs->unacknowledged && !signs->probes) {
        *s = (struct silence){ 0 };
        return 0;
    }
    if (s->looked_at == 0 || heard)
        s->silent = 0;
    else
        s->silent += gap < 2 * every ? gap : 2 * every;
    s->looked_at = now;
    bool asked_again = signs->unacknowledged ? signs->resent > 0 : signs->probes >= PROBES_PROVE;
    return asked_again ? s->silent : 0;
}

int64_t silence_patience(int64_t repair_deadline)
{
    return repair_deadline / 2 < REPAIR_SUSPECT_NS ? repair_deadline / 2 : REPAIR_SUSPECT_NS;
}

int64_t silence_look_every(int64_t repair_deadline)
{
    return silence_patience(repair_deadline) / 4;
}
