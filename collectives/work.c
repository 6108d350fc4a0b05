/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * work.c - rounds, messages, bytes, additions and copies of each algorithm, as its generator has
 * them; tests compare them with what the schedules do
 *
 * A turn is one round of all ranks over the cores they share: each round of messages needs one, but
 * what all send to all at once needs one in all. Of those that receive into places of their own and
 * add up afterwards (multiplying) each message needs one: they do not go straight.
 */
#include "collectives/work.h"

#include "collectives/pattern/multiplying.h"

/* The least r with k^r >= p. */
static double rounds_of(double p, double k)
{
    double r = 0, reach = 1;
    while (reach < p) {
        reach *= k;
        r++;
    }
    return r;
}

/* The greatest power of two up to p, as its logarithm, and 2 more rounds if p is none. */
static double floor_rounds(double p, double *extra)
{
    double r = rounds_of(p, 2), whole = 1;
    for (double i = 0; i < r; i++) whole *= 2;
    *extra = whole > p ? 2 : 0;
    return whole > p ? r - 1 : r;
}

static struct work work_of(double rounds, double messages, double bytes, double added,
                           double copied, double turns)
{
    return (struct work){ .rounds = rounds,
                          .messages = messages,
                          .bytes = bytes,
                          .added = added,
                          .staged = added,
                          .copied = copied,
                          .turns = turns };
}

/* What goes to, or comes from, so many at once. */
static struct work spread(double peers, struct work w)
{
    w.fan = peers;
    return w;
}

/* Of a pair, or in a tree, no rank both sends and receives all of it. */
static struct work moving(double bytes, struct work w)
{
    w.moved = bytes;
    return w;
}

/* So many rounds of one message each, of `bytes` in all. */
static struct work rounds_work(double rounds, double bytes)
{
    return (
        struct work){ .rounds = rounds, .messages = 2 * rounds, .bytes = bytes, .turns = rounds };
}

/* The part of a vector that is other ranks'. */
static double others(double p, double n)
{
    return n * (p - 1) / p;
}

struct work work_barrier_dissemination(double p, double n, double k)
{
    (void)n;
    double r = rounds_of(p, k);
    return (struct work){ .rounds = r, .messages = 2 * r * (k - 1), .turns = r };
}

struct work work_barrier_flat(double p, double n, double k)
{
    (void)n, (void)k;
    return (struct work){ .rounds = 2, .messages = 2 * (p - 1), .turns = 1 };
}

struct work work_barrier_direct(double p, double n, double k)
{
    (void)n, (void)k;
    return (struct work){ .rounds = 1, .messages = 2 * (p - 1), .turns = 1 - 1 / p };
}

/* -------------------------------------------------------------------------------- bcast, reduce */

struct work work_bcast_tree(double p, double n, double k)
{
    double radix = k > 2 ? k : 2, r = rounds_of(p, radix), sent = r * (radix - 1);
    struct work w = { .rounds = r, .messages = sent + r, .bytes = sent * n, .turns = r };
    return spread(radix - 1, moving(w.bytes, w));
}

struct work work_bcast_scatter_ring(double p, double n, double k)
{
    (void)k;
    struct work w = rounds_work(rounds_of(p, 2) + p - 1, 2 * others(p, n));
    return moving(3 * others(p, n), w);
}

/* Of a range of blocks that goes round the end there are two messages. */
struct work work_bcast_scatter_allgather(double p, double n, double k)
{
    (void)k;
    struct work w = rounds_work(2 * rounds_of(p, 2), 2 * others(p, n));
    w.messages = 5 * rounds_of(p, 2);
    return moving(3 * others(p, n), w);
}

struct work work_bcast_chain(double p, double n, double k)
{
    double steps = p - 2 + k, bytes = n * steps / k;
    return moving(p > 2 ? 2 * bytes : bytes, work_of(p - 1, 2 * steps, bytes, 0, 0, steps));
}

/* A piece waits for no round but its own l: what a rank has it passes on. The root sends in each
 * step, so the others have less to send. */
struct work work_bcast_circulant(double p, double n, double k)
{
    double l = rounds_of(p, 2), steps = k - 1 + l;
    if (p <= 2) return moving(n * steps / k, rounds_work(steps, n * steps / k));
    double passed = k - steps / (p - 1), most = k + passed > steps ? k + passed : steps;
    return moving(n * most / k, work_of(l, most, n * steps / k, 0, 0, steps));
}

struct work work_bcast_two_level(double p, double n, double k)
{
    double nodes = p > k ? p / k : 1, here = p < k ? p : k, r = rounds_of(nodes, 2);
    struct work w = rounds_work(r, n * r);
    w.turns = r + 1;
    w.near_rounds = here > 1;
    w.near_messages = here;
    w.near_bytes = n * (here - 1);
    return w;
}

/* Whatever arrives is added; in k pieces, all but the last while the next ones are on their way. */
static struct work with_pieces(struct work w, double added, double k)
{
    w.added = added;
    w.staged = added / k;
    return w;
}

static struct work with_added(struct work w, double added)
{
    return with_pieces(w, added, 1);
}

struct work work_reduce_tree(double p, double n, double k)
{
    struct work w = work_bcast_tree(p, n, k);
    return with_added(w, w.bytes);
}

struct work work_reduce_ring(double p, double n, double k)
{
    (void)k;
    struct work w = rounds_work(p, 2 * others(p, n));
    w.messages = 3 * (p - 1);
    return with_added(moving(3 * others(p, n), w), others(p, n));
}

struct work work_reduce_scatter_gather(double p, double n, double k)
{
    return with_added(work_bcast_scatter_allgather(p, n, k), others(p, n));
}

struct work work_reduce_chain(double p, double n, double k)
{
    struct work w = work_bcast_chain(p, n, k);
    return with_pieces(w, w.bytes, k);
}

/* A sum waits for what is added to it, so each step is a round. */
struct work work_reduce_circulant(double p, double n, double k)
{
    double steps = k - 1 + rounds_of(p, 2), bytes = n * steps / k;
    struct work w = moving(p > 2 ? 2 * bytes : bytes, rounds_work(steps, bytes));
    return with_pieces(w, w.bytes, k);
}

struct work work_reduce_pairwise(double p, double n, double k)
{
    struct work w = work_of(2, 3 * (p - 1) * k, 2 * others(p, n), 0, 0, 2);
    return spread(p - 1, with_pieces(moving(3 * others(p, n), w), others(p, n), k));
}

struct work work_reduce_two_level(double p, double n, double k)
{
    struct work w = work_bcast_two_level(p, n, k);
    return with_added(w, w.bytes + w.near_bytes);
}

/* ------------------------------------------------------------------------------------ allreduce */

struct work work_allreduce_doubling(double p, double n, double k)
{
    (void)k;
    double extra, r = floor_rounds(p, &extra);
    return with_added(rounds_work(r + extra, n * (r + extra)), n * (r + extra / 2));
}

/* Of the rank that is busiest: the last one, which may have to tell many of a longer block, or one
 * of the others. */
static struct work multiplying_uneven(const struct multiplying *m, double n)
{
    uint32_t heard = 0, last = 0, rounds = 0, stride = 1;
    for (uint32_t i = 0; i < m->rounds; stride *= m->factor[i++]) {
        uint32_t first = m->size - 1 - (m->size - 1) % (stride * m->factor[i]);
        uint32_t blocks = (m->size - 1 - first) / stride + 1;
        uint32_t here = m->size - first - (blocks - 1) * stride;
        uint32_t all = first ? m->factor[i] : blocks; /* of a group of others */
        rounds += all > 1;
        heard += all - 1;
        last += (blocks - 1) * (1 + (stride + here - 1) / here);
    }
    uint32_t messages = 2 * heard > last ? 2 * heard : last;
    struct work w = { .rounds = rounds, .messages = messages, .turns = heard };
    w.moved = n * messages;
    w.bytes = n * (messages - heard);
    return with_added(w, n * heard);
}

struct work work_allreduce_multiplying(double p, double n, double k)
{
    struct multiplying m = multiplying_of((uint32_t)p, (uint32_t)k);
    if (m.extra == 0) return spread(k - 1, multiplying_uneven(&m, n));
    double r = m.rounds, sent = 0;
    for (uint32_t i = 0; i < m.rounds; i++) sent += m.factor[i] - 1;
    struct work w = { .rounds = r + 2, .messages = 2 * sent + 4, .bytes = n * (sent + 2) };
    w.turns = sent + 2;
    return spread(k - 1, with_added(w, n * (sent + 1)));
}

struct work work_allreduce_ring(double p, double n, double k)
{
    struct work w = rounds_work(2 * (p - 1), 2 * others(p, n));
    w.messages *= k;
    return with_pieces(w, others(p, n), k);
}

struct work work_allreduce_flat(double p, double n, double k)
{
    (void)k;
    return spread(p - 1, work_of(2, 2 * (p - 1), n * (p - 1), n * (p - 1), 0, 1));
}

struct work work_allreduce_direct(double p, double n, double k)
{
    (void)k;
    return spread(p - 1, work_of(1, 2 * (p - 1), n * (p - 1), n * (p - 1), 0, 1 - 1 / p));
}

struct work work_allreduce_rabenseifner(double p, double n, double k)
{
    (void)k;
    double extra, r = floor_rounds(p, &extra), q = p;
    if (extra > 0)
        for (q = 1; q * 2 <= p;) q *= 2;
    return with_added(rounds_work(2 * r + extra, 2 * others(q, n) + n * extra),
                      others(q, n) + n * extra / 2);
}

/* In each round both ends wait for what two others of them do first: half of that is counted as
 * bytes that move. */
struct work work_allreduce_circulant(double p, double n, double k)
{
    struct work w = work_bcast_scatter_allgather(p, n, k);
    return with_added(moving(3 * w.bytes, w), others(p, n));
}

struct work work_allreduce_pairwise(double p, double n, double k)
{
    struct work w = work_of(2, 4 * (p - 1) * k, 2 * others(p, n), 0, 0, 2);
    return spread(p - 1, with_pieces(w, others(p, n), k));
}

struct work work_allreduce_allgather(double p, double n, double k)
{
    (void)k;
    double r = rounds_of(p, 2);
    return work_of(r, 3 * r, n * (p - 1), n * (p - 1), n, r);
}

struct work work_allreduce_tree(double p, double n, double k)
{
    (void)k;
    double r = rounds_of(p, 2);
    return with_added(rounds_work(2 * r, 2 * r * n), r * n);
}

struct work work_allreduce_two_level(double p, double n, double k)
{
    double nodes = p > k ? p / k : 1, here = p < k ? p : k, extra, r = floor_rounds(nodes, &extra);
    double part = n / here;
    struct work w = rounds_work(r + extra, part * (r + extra));
    w.turns += 2;
    w.near_rounds = 2;
    w.near_messages = 4 * (here - 1);
    w.near_bytes = part * 2 * (here - 1);
    return with_added(w, part * (r + extra / 2 + here - 1));
}

/* --------------------------------------------------------------------------------- blocks of
 * all */

struct work work_gather_tree(double p, double n, double k)
{
    (void)k;
    struct work w = rounds_work(rounds_of(p, 2), n * (p - 1));
    w.copied = n;
    return moving(w.bytes, w);
}

struct work work_gather_linear(double p, double n, double k)
{
    (void)k;
    return spread(p - 1, moving(n * (p - 1), work_of(1, p, n * (p - 1), 0, n, 1)));
}

struct work work_allgather_bruck(double p, double n, double k)
{
    double r = rounds_of(p, k);
    return spread(k - 1, work_of(r, 2 * r * (k - 1), n * (p - 1), 0, n * (p + 1), r));
}

struct work work_allgather_ring(double p, double n, double k)
{
    (void)k;
    struct work w = rounds_work(p - 1, n * (p - 1));
    w.copied = n;
    return w;
}

struct work work_allgather_circulant(double p, double n, double k)
{
    (void)k;
    double r = rounds_of(p, 2);
    return work_of(r, 3 * r, n * (p - 1), 0, n, r);
}

struct work work_allgather_neighbour(double p, double n, double k)
{
    (void)k;
    struct work w = rounds_work((uint64_t)p % 2 > 0 ? p - 1 : p / 2, n * (p - 1));
    w.copied = n;
    return w;
}

struct work work_allgather_pairwise(double p, double n, double k)
{
    double pieces = p <= 2 && k > 1 ? k : 1; /* more do without */
    return spread(p - 1, work_of(1, 2 * (p - 1) * pieces, n * (p - 1), 0, n, 1));
}

/* In each round a digit's share of the blocks goes on. */
struct work work_alltoall_bruck(double p, double n, double k)
{
    double r = rounds_of(p, k), bytes = r * n * p * (k - 1) / k;
    return work_of(r * (k - 1), 2 * r * (k - 1), bytes, 0, 2 * bytes + 2 * n * p, r * (k - 1));
}

struct work work_alltoall_pairwise(double p, double n, double k)
{
    return work_allgather_pairwise(p, n, k);
}

struct work work_reduce_scatter_ring(double p, double n, double k)
{
    (void)k;
    struct work w = rounds_work(p - 1, others(p, n));
    return with_added(w, others(p, n));
}

struct work work_reduce_scatter_tree(double p, double n, double k)
{
    (void)k;
    double r = rounds_of(p, 2);
    return with_added(rounds_work(2 * r, n * r + others(p, n)), n * r);
}

struct work work_reduce_scatter_circulant(double p, double n, double k)
{
    (void)k;
    double r = rounds_of(p, 2);
    return work_of(r, 3 * r, others(p, n), others(p, n), n / p, r);
}

struct work work_reduce_scatter_pairwise(double p, double n, double k)
{
    struct work w = work_of(1, 2 * (p - 1) * k, others(p, n), 0, 0, 1);
    return spread(p - 1, with_pieces(w, others(p, n), k));
}

/* A rank sends in one round what it adds to in the other; of what it adds half has just come. */
struct work work_scan_doubling(double p, double n, double k)
{
    (void)k;
    double r = rounds_of(p, 2);
    return with_pieces(moving(n * r, rounds_work(r, n * r)), 2 * n * r, 2);
}

struct work work_scan_chain(double p, double n, double k)
{
    return with_pieces(work_bcast_chain(p, n, k), n * (p - 2 + k) / k, k);
}

/* What passes on a sum of what has come first takes in what comes meanwhile: all of it, in the
 * end. */
struct work work_exscan_chain(double p, double n, double k)
{
    struct work w = work_scan_chain(p, n, k);
    w.moved = n * p;
    return w;
}

struct work work_neighbours(double p, double n, double k)
{
    (void)p, (void)k;
    return work_of(1, 1, n, 0, 0, 1);
}
