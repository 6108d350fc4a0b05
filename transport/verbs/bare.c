/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bare.c - messages that need nothing before their body
 *
 * Header and head are 32 bytes, and a body of 4 KiB fills a packet: with them it takes two. But
 * most of what they say the receiver knows: which message is next, and that its head is like that
 * of the last one. What it cannot know is in the immediate data of the request:
 *
 *    bit 0       8       16         18        24      32
 *        | seq   | limit | controls | attempt | credit |
 *
 *    seq, limit, controls   of the header, their low bits: the next is within 127 of the last one,
 *                           and the window below 256
 *    attempt                its bits 1 to 6 (bit 0 is always 1)
 *    head                   of 16 bytes, as the last such one that went before it, but: in the low
 *                           16 bits of `word` the next number, `credit` in bits 24 to 31, the
 *                           body's length from bit 40 on
 *
 * A sender looks whether that is the head it was given, bit by bit, so who made it and why does not
 * matter here; if it is not, the message goes as ever. A device with no immediate data (iWARP) has
 * no bare ones.
 */
#include "base/wire.h"
#include "transport/verbs/internal.h"

enum { BEFORE = VERBS_HEADER + VERBS_HEAD, WINDOW_MOST = 255 };

static struct head foretell(const struct head *last, uint32_t credit, size_t blen)
{
    return (struct head){
        .word = (uint16_t)(last->word + 1) | (last->word & 0xff0000) | (uint64_t)credit << 24 |
                (uint64_t)blen << 40,
        .key = last->key,
    };
}

static size_t packets(const struct verbs_link *l, size_t len)
{
    return (len + ((size_t)1 << l->packet_shift) - 1) >> l->packet_shift;
}

bool bare_may(const struct verbs_link *l, const struct head *head, size_t blen, uint32_t *immediate)
{
    if (packets(l, blen) == packets(l, blen + BEFORE) || l->window > WINDOW_MOST) return false;
    uint32_t credit = (uint8_t)(head->word >> 24);
    struct head expected = foretell(&l->last_out, credit, blen);
    if (head->word != expected.word || head->key != expected.key) return false;
    *immediate = (uint8_t)(l->sequence + 1) | (uint32_t)(uint8_t)(l->returned + l->window) << 8 |
                 (l->controls_received & 3) << 16 |
                 (uint32_t)(l->theirs.attempt >> 1 & 63) << 18 | credit << 24;
    return true;
}

void bare_read(const struct verbs_link *l, struct incoming *m, const uint8_t *body, uint32_t len,
               uint32_t immediate)
{
    uint32_t next = l->heard + 1;
    struct head head = foretell(&l->last_in, immediate >> 24, len);
    bool ours = (immediate >> 18 & 63) == (l->attempt >> 1 & 63);
    m->sequence = next + ((immediate - next + 128) & 255) - 128;
    m->limit = l->allowed + (uint8_t)((immediate >> 8) - l->allowed);
    m->controls = (uint16_t)(l->controls_heard + (((immediate >> 16) - l->controls_heard) & 3));
    m->attempt = (uint32_t)(ours ? l->attempt : ~l->attempt);
    m->kind = VERBS_MESSAGE;
    m->hlen = VERBS_HEAD;
    m->head = m->foretold;
    m->body = body;
    m->len = VERBS_HEAD + len;
    wire_put64(m->foretold, head.word);
    wire_put64(m->foretold + 8, head.key);
}
