/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/contract/control.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/contract/peer.h"

enum { LETTERS = 64, LETTER_MAX = 1024 };

enum letter_kind { LETTER_CONNECT, LETTER_TELL, LETTER_REFUSED, LETTER_DOWN };

struct letter {
    enum letter_kind kind;
    uint64_t link, answers;
    size_t len;
    uint8_t bytes[LETTER_MAX];
};

/* One writer, one reader: each publishes its own counter, the other acquires it. */
struct mailbox {
    _Atomic uint32_t written, read;
    struct letter letter[LETTERS];
};

static struct mailbox (*mailboxes)[JOB_RANKS_MAX]; /* [from][to] */

void control_init(void)
{
    size_t size = sizeof(struct mailbox) * JOB_RANKS_MAX * JOB_RANKS_MAX;
    mailboxes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (mailboxes == MAP_FAILED) abort();
}

void control_open(struct side *side)
{
    for (int r = 0; r < JOB_RANKS_MAX; r++) {
        struct mailbox *in = &mailboxes[r][side->me->rank];
        if (r >= side->me->size)
            continue;
        atomic_store(&in->read, atomic_load(&in->written));
    }
}

static void post(struct peer *to, enum letter_kind kind, uint64_t link, const void *bytes,
                 size_t len)
{
    struct job_rank *me = to->side->me;
    struct mailbox *box = &mailboxes[me->rank][to->rank];
    uint32_t written = atomic_load(&box->written);
    CHECK(me, written - atomic_load(&box->read) < LETTERS && len <= LETTER_MAX);
    struct letter *letter = &box->letter[written % LETTERS];
    letter->kind = kind;
    letter->link = link;
    letter->answers = to->theirs;
    letter->len = len;
    if (len) memcpy(letter->bytes, bytes, len);
    atomic_store(&box->written, written + 1);
}

void control_connect(struct peer *to)
{
    to->number = ++to->side->numbers;
    post(to, LETTER_CONNECT, to->number, NULL, 0);
}

void control_tell(struct peer *to, const void *bytes, size_t len)
{
    post(to, LETTER_TELL, to->number, bytes, len);
}

void control_down(struct peer *to)
{
    post(to, LETTER_DOWN, to->number, NULL, 0);
    to->number = to->theirs = 0;
}

/* False: not yet, its link here is still another's counterpart. */
static bool take_connect(struct peer *from, const struct letter *letter)
{
    struct side *side = from->side;
    if (letter->answers) {
        if (from->link && from->number == letter->answers) from->theirs = letter->link;
        return true; /* else it answers to a link that is gone */
    }
    if (from->link && from->theirs) return false;
    if (!from->link && from->refuse) {
        from->links++;
        post(from, LETTER_REFUSED, letter->link, NULL, 0);
        return true;
    }
    from->theirs = letter->link;
    if (from->link) return true;
    from->links++;
    side_connect(side, from->rank);
    return true;
}

static bool take(struct peer *from, const struct letter *letter)
{
    struct side *side = from->side;
    bool counterpart = from->link && from->theirs == letter->link;
    switch (letter->kind) {
    case LETTER_CONNECT: return take_connect(from, letter);
    case LETTER_TELL:
        if (counterpart)
            CHECK_OK(side->me, side->ops->connect(from->link, letter->bytes, letter->len));
        return true;
    case LETTER_REFUSED:
        if (from->link && from->number == letter->link)
            side->ops->disconnect(from->link, DISCONNECT_BROKEN);
        return true;
    default:
        if (counterpart) side->ops->disconnect(from->link, DISCONNECT_BROKEN);
        return true;
    }
}

void control_read(struct side *side)
{
    for (int r = 0; r < side->me->size; r++) {
        struct mailbox *box = &mailboxes[r][side->me->rank];
        if (r == side->me->rank) continue;
        for (uint32_t read = atomic_load(&box->read); read != atomic_load(&box->written);) {
            if (!take(&side->peer[r], &box->letter[read % LETTERS])) break;
            atomic_store(&box->read, ++read);
        }
    }
}
