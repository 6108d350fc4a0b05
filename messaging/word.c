/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * word.c - words about collectives: carried here, understood by collectives
 *
 * A word goes with the pair's other messages, in their order, and is heard in progress. What cannot
 * go at once waits among the control messages, at most WORDS_MAX for a peer; a further one is lost,
 * for whoever waits asks again. So a peer that asks and never reads costs that much and no more.
 */
#include <string.h>

#include "messaging/context.h"

enum { WORDS_MAX = 64 };

struct word {
    struct control control;
    uint32_t team, sequence, len;
    uint8_t bytes[COLLECTIVE_WORD_MAX];
};

int word_send(struct peer *p, const struct control *c)
{
    const struct word *w = LIST_OWNER(c, const struct word, control);
    return outgoing_send(p, &(struct outgoing){ .kind = KIND_COLL_WHY,
                                                .team = w->team,
                                                .tag = w->sequence,
                                                .body = w->bytes,
                                                .body_len = w->len });
}

void word_sent(struct peer *p, struct control *c)
{
    p->words--;
    context_release(p->context, LIST_OWNER(c, struct word, control), sizeof(struct word));
}

static void word_tell(struct peer *p, uint32_t team, uint32_t sequence, const void *bytes,
                      size_t len)
{
    struct word now = { .team = team, .sequence = sequence, .len = (uint32_t)len };
    if (!p || p->state == PEER_GONE || p->rank == p->context->rank) return;
    if (len) memcpy(now.bytes, bytes, len);
    if (list_empty(&p->controls) && word_send(p, &now.control) == 0) {
        p->context->counters.controls_sent++;
        return;
    }
    struct word *w = p->words < WORDS_MAX ? context_allocate(p->context, sizeof(*w)) : NULL;
    if (!w) return;
    *w = now;
    w->control.kind = KIND_COLL_WHY;
    p->words++;
    list_append(&p->controls, &w->control.entry);
}

void collective_tell(struct sinew_team *team, int to, uint32_t sequence, const void *word,
                     size_t len)
{
    const struct team_core *core = team->core;
    word_tell(core->context->peer[team_world_rank(core, to)], core->id, sequence, word, len);
}

int word_arrive(struct peer *p, const struct envelope *e, const void *body, size_t len)
{
    struct sinew *s = p->context;
    uint8_t answer[COLLECTIVE_WORD_MAX];
    struct team_core *core = e->team < s->next_team ? team_find(s, e->team) : NULL;
    int from = core ? team_rank_of(core, p->rank) : 0;
    if (len > COLLECTIVE_WORD_MAX || from < 0)
        return peer_breaks(p, "sent a word of %zu bytes about team %u, which %s", len, e->team,
                           from < 0 ? "it is no member of" : "is too long");
    if (core && core->cache) {
        int n = core->cache->told(core->cache, from, e->tag, body, len, answer);
        if (n > 0) word_tell(p, e->team, e->tag, answer, (size_t)n);
        return n < 0 ? peer_breaks(p, "sent a word about a collective that makes no sense") : 0;
    }
    /* Nothing was called in it yet, as far as is known here, or will be. Such words answer
     * nothing. */
    size_t freed = !core && e->team < s->next_team;
    answer[0] = 0;
    if (len > 1) word_tell(p, e->team, e->tag, answer, freed);
    return 0;
}

int word_stray(struct peer *p, struct team_core *core, uint32_t sequence)
{
    uint8_t word[COLLECTIVE_WORD_MAX];
    if (!core->cache || (int32_t)(core->collectives - sequence) < 0) return 0;
    int n = core->cache->stray(core->cache, team_rank_of(core, p->rank), sequence, word);
    if (n > 0) word_tell(p, core->id, sequence, word, (size_t)n);
    return n ? SINEW_EMISMATCH : 0;
}
