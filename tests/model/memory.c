/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/model/memory.h"

#include <stdio.h>
#include <string.h>

#include "tests/model/explore.h"

enum { GRANULE = 8, GRANULES = MEMORY_BYTES / GRANULE };

/* Messages are named by when they were made; where they are in modification order is in place[].
 * Message 0 is the word as it was at first, and every view's bottom. */
struct view {
    uint8_t at[MEMORY_LOCATIONS];
    uint8_t clock[MEMORY_THREADS]; /* releases of each thread that happened before */
};

struct message {
    uint64_t value;
    bool is_tied; /* by a read-modify-write to the one before: nothing comes between */
    struct view view;
};

struct location {
    const void *word;
    const char *name;
    int count;
    uint8_t order[MEMORY_MESSAGES], place[MEMORY_MESSAGES];
    struct message messages[MEMORY_MESSAGES];
};

/* Who touched 8 plain bytes last, by the clock of the toucher; 0: nobody. */
struct granule {
    uint8_t writer, written, read[MEMORY_THREADS];
    uint8_t tried[MEMORY_THREADS]; /* read, but neither kept nor dropped yet */
};

struct memory_thread {
    struct view view;
    struct view settled, before_store; /* after its last step; … when it came to its last store */
    bool watches, watched[MEMORY_LOCATIONS];
    uint8_t seen[MEMORY_LOCATIONS];
    bool spoiled; /* there was a race for what it tried */
};

static struct {
    uint8_t *block;
    size_t len;
    int threads, locations;
    int8_t location_at[MEMORY_BYTES / 4]; /* + 1 */
    struct location location[MEMORY_LOCATIONS];
    struct memory_thread thread[MEMORY_THREADS];
    struct granule granule[GRANULES];
    size_t tried_from, tried_to; /* granules whose readers only try */
} memory;

static struct {
    int count;
    struct memory_site *site[MEMORY_SITES];
    int weakened; /* id */
    enum memory_weakening how;
    enum memory_order_name order;
    uint64_t met; /* a bit for each */
} sites;

/* --- sites ------------------------------------------------------------------------------------ */

int memory_site_count(void) { return sites.count; }
const struct memory_site *memory_site(int index) { return sites.site[index]; }

uint64_t memory_sites_met(void)
{
    uint64_t met = sites.met;
    sites.met = 0;
    return met;
}

void memory_weaken(int index, enum memory_weakening how, enum memory_order_name order)
{
    sites.weakened = how == WEAKEN_NOTHING ? 0 : index + 1;
    sites.how = how;
    sites.order = order;
}

/* A line of a header is one site, in however many files it is compiled. */
static void site_register(struct memory_site *site)
{
    for (int i = 0; i < sites.count && !site->id; i++) {
        const struct memory_site *other = sites.site[i];
        if (other->line == site->line && strcmp(other->file, site->file) == 0 &&
            strcmp(other->operation, site->operation) == 0)
            site->id = i + 1;
    }
    if (site->id) return;
    if (sites.count == MEMORY_SITES) explore_fail("the explorer: too many sites");
    sites.site[sites.count++] = site;
    site->id = sites.count;
}

static enum memory_weakening site_weakened(struct memory_site *site)
{
    if (__builtin_expect(!site->id, 0)) site_register(site);
    sites.met |= (uint64_t)1 << (site->id - 1);
    return site->id == sites.weakened ? sites.how : WEAKEN_NOTHING;
}

static enum memory_order_name site_order(struct memory_site *site)
{
    return site_weakened(site) == WEAKEN_ORDER ? sites.order : site->order;
}

/* --- set up ----------------------------------------------------------------------------------- */

void memory_reset(int threads, void *block, size_t len)
{
    if (len > MEMORY_BYTES) explore_fail("the explorer: %zu bytes of plain memory", len);
    memset(block, 0, len);
    memory.block = block;
    memory.len = len;
    memory.threads = threads;
    memory.locations = 0;
    memset(memory.location_at, 0, sizeof(memory.location_at));
    memset(memory.thread, 0, sizeof(memory.thread));
    memset(memory.granule, 0, sizeof(memory.granule));
    memory.tried_from = memory.tried_to = 0;
    for (int t = 0; t < threads; t++) memory.thread[t].view.clock[t] = 1;
}

void memory_location(const void *word, const char *name)
{
    size_t offset = (size_t)((const uint8_t *)word - memory.block);
    if (memory.locations == MEMORY_LOCATIONS || offset >= memory.len)
        explore_fail("the explorer: no room for %s", name);
    struct location *l = &memory.location[memory.locations++];
    l->word = word;
    l->name = name;
    l->count = 1;
    l->order[0] = l->place[0] = 0;
    memset(&l->messages[0], 0, sizeof(l->messages[0]));
    memory.location_at[offset / 4] = (int8_t)memory.locations;
}

void memory_tried(const void *at, size_t len)
{
    size_t offset = (size_t)((const uint8_t *)at - memory.block);
    if (offset % GRANULE || len % GRANULE || offset >= memory.len || len > memory.len - offset)
        explore_fail("the explorer: bytes to try at %zu", offset);
    memory.tried_from = offset / GRANULE;
    memory.tried_to = (offset + len) / GRANULE;
}

static int location_of(const void *word)
{
    size_t offset = (size_t)((const uint8_t *)word - memory.block);
    int index = offset < memory.len ? memory.location_at[offset / 4] - 1 : -1;
    if (index < 0) explore_fail("an atomic access to what is no word");
    return index;
}

void memory_begins(const void *word, uint64_t value)
{
    memory.location[location_of(word)].messages[0].value = value;
}

/* --- views ------------------------------------------------------------------------------------ */

static void view_join_places(struct view *v, const struct view *other)
{
    for (int i = 0; i < memory.locations; i++) {
        const struct location *l = &memory.location[i];
        if (l->place[other->at[i]] > l->place[v->at[i]]) v->at[i] = other->at[i];
    }
}

static void view_join(struct view *v, const struct view *other)
{
    view_join_places(v, other);
    for (int t = 0; t < memory.threads; t++)
        if (other->clock[t] > v->clock[t]) v->clock[t] = other->clock[t];
}

/* A new message at `place`; its id. */
static uint8_t location_insert(struct location *l, int place, uint64_t value, bool is_tied)
{
    if (l->count == MEMORY_MESSAGES) explore_fail("the explorer: too many stores to %s", l->name);
    int id = l->count++;
    for (int i = id; i > place; i--) {
        l->order[i] = l->order[i - 1];
        l->place[l->order[i]] = (uint8_t)i;
    }
    l->order[place] = (uint8_t)id;
    l->place[id] = (uint8_t)place;
    l->messages[id].value = value;
    l->messages[id].is_tied = is_tied;
    memset(&l->messages[id].view, 0, sizeof(struct view));
    return (uint8_t)id;
}

/* --- atomic steps ----------------------------------------------------------------------------- */

static const char *const order_name[] = { "relaxed", "acquire", "release", "acquire and release" };

static void say(const struct memory_site *site, const struct location *l, const char *what,
                uint64_t value, int place)
{
    explore_say("%s %s %#llx, message %d of %d (%s, %s:%d)", l->name, what,
                (unsigned long long)value, place, l->count - 1, order_name[site->order],
                site->function, site->line);
}

static uint8_t message_read(struct memory_thread *t, int index, const struct view *floor,
                            enum memory_order_name order)
{
    struct location *l = &memory.location[index];
    int least = l->place[floor->at[index]];
    int place = l->count - 1 - explore_choose(l->count - least);
    uint8_t id = l->order[place];
    if (place > l->place[t->view.at[index]]) t->view.at[index] = id;
    if (order & ORDER_ACQUIRE) view_join(&t->view, &l->messages[id].view);
    t->watched[index] = t->watches;
    t->seen[index] = id;
    t->settled = t->view;
    explore_observe(l->messages[id].value);
    return id;
}

static void message_release(struct memory_thread *t, int index, uint8_t id,
                            enum memory_order_name order)
{
    struct message *m = &memory.location[index].messages[id];
    t->view.at[index] = id;
    if (order & ORDER_RELEASE)
        view_join(&m->view, &t->view);
    else
        m->view.at[index] = id;
    if (order & ORDER_RELEASE && ++t->view.clock[explore_me()] == UINT8_MAX)
        explore_fail("the explorer: too many releases");
    t->settled = t->view;
}

uint64_t memory_load(struct memory_site *site, const void *word)
{
    explore_step();
    int index = location_of(word);
    struct memory_thread *t = &memory.thread[explore_me()];
    bool early = site_weakened(site) == WEAKEN_PLACE;
    uint8_t id = message_read(t, index, early ? &t->before_store : &t->view, site_order(site));
    const struct location *l = &memory.location[index];
    if (explore_traces()) say(site, l, "gives", l->messages[id].value, l->place[id]);
    return l->messages[id].value;
}

/* Where a store may go: behind the view, and not between a read-modify-write and what it read. */
static int store_place(const struct memory_thread *t, int index)
{
    const struct location *l = &memory.location[index];
    int least = l->place[t->view.at[index]] + 1, places = 1;
    for (int i = least; i < l->count; i++) places += !l->messages[l->order[i]].is_tied;
    int chosen = explore_choose(places), place = l->count;
    for (; chosen > 0; chosen--)
        do place--;
        while (l->messages[l->order[place]].is_tied);
    return place;
}

static void step_store(struct memory_site *site, int index, uint64_t value)
{
    struct memory_thread *t = &memory.thread[explore_me()];
    struct location *l = &memory.location[index];
    t->before_store = t->settled;
    uint8_t id = location_insert(l, store_place(t, index), value, false);
    message_release(t, index, id, site_order(site));
    if (explore_traces()) say(site, l, "becomes", value, l->place[id]);
}

void memory_store(struct memory_site *site, void *word, uint64_t value)
{
    explore_step();
    step_store(site, location_of(word), value);
}

/* Which message a read-modify-write takes: none that another has taken. */
static uint8_t message_take(struct memory_thread *t, int index)
{
    const struct location *l = &memory.location[index];
    int free_count = 0, place = l->count;
    for (int i = l->place[t->view.at[index]]; i < l->count; i++)
        free_count += i + 1 == l->count || !l->messages[l->order[i + 1]].is_tied;
    for (int chosen = explore_choose(free_count); chosen >= 0; chosen--)
        do place--;
        while (place + 1 < l->count && l->messages[l->order[place + 1]].is_tied);
    return l->order[place];
}

static uint64_t step_modify(struct memory_site *site, int index, const uint64_t *value)
{
    struct memory_thread *t = &memory.thread[explore_me()];
    struct location *l = &memory.location[index];
    enum memory_order_name order = site_order(site);
    uint8_t from = message_take(t, index);
    uint64_t old = l->messages[from].value;
    explore_observe(old);
    if (order & ORDER_ACQUIRE) view_join(&t->view, &l->messages[from].view);
    uint8_t id = location_insert(l, l->place[from] + 1, value ? *value : old, true);
    view_join(&l->messages[id].view, &l->messages[from].view);
    message_release(t, index, id, order);
    t->watched[index] = t->watches;
    t->seen[index] = id;
    if (explore_traces()) {
        say(site, l, "gave", old, l->place[from]);
        say(site, l, "becomes", l->messages[id].value, l->place[id]);
    }
    return old;
}

static uint64_t memory_modify(struct memory_site *site, void *word, const uint64_t *value)
{
    explore_step();
    int index = location_of(word);
    if (site_weakened(site) != WEAKEN_ATOMICITY) return step_modify(site, index, value);
    struct memory_thread *t = &memory.thread[explore_me()];
    uint8_t id = message_read(t, index, &t->view, site->order);
    uint64_t old = memory.location[index].messages[id].value;
    if (explore_traces()) say(site, &memory.location[index], "gives", old, id);
    if (value) step_store(site, index, *value);
    return old;
}

uint64_t memory_exchange(struct memory_site *site, void *word, uint64_t value)
{
    return memory_modify(site, word, &value);
}

uint64_t memory_or_nothing(struct memory_site *site, void *word)
{
    return memory_modify(site, word, NULL);
}

void memory_barrier(struct memory_site *site)
{
    explore_step();
    if (site_weakened(site) == WEAKEN_AWAY) return;
    struct view all = memory.thread[0].view;
    for (int t = 1; t < memory.threads; t++) view_join_places(&all, &memory.thread[t].view);
    for (int t = 0; t < memory.threads; t++) view_join_places(&memory.thread[t].view, &all);
    explore_say("membarrier()");
}

/* --- plain bytes ------------------------------------------------------------------------------ */

static void granule_write(const struct view *v, struct granule *g, uint8_t me, size_t offset)
{
    for (uint8_t t = 0; t < memory.threads; t++) {
        if (t == me) continue;
        if (g->writer == t && g->written > v->clock[t])
            explore_fail("race: thread %d writes byte %zu, which thread %d has written", me, offset,
                         t);
        if (g->read[t] > v->clock[t])
            explore_fail("race: thread %d writes byte %zu, which thread %d may still read", me,
                         offset, t);
        if (g->tried[t] > v->clock[t]) memory.thread[t].spoiled = true;
    }
    *g = (struct granule){ .writer = me, .written = v->clock[me] };
}

static void granule_try(const struct view *v, struct granule *g, uint8_t me)
{
    if (g->writer != me && g->written > v->clock[g->writer]) memory.thread[me].spoiled = true;
    g->tried[me] = v->clock[me];
}

static void granule_read(const struct view *v, struct granule *g, uint8_t me, size_t offset)
{
    if (g->writer != me && g->written > v->clock[g->writer])
        explore_fail("race: thread %d reads byte %zu, which thread %d may still write", me, offset,
                     g->writer);
    g->read[me] = v->clock[me];
}

/* Every plain access to the block; memory of one thread alone is none of ours. */
static void memory_touch(const void *at, size_t len, bool writes)
{
    size_t offset = (size_t)((const uint8_t *)at - memory.block);
    if (offset >= memory.len || len == 0) return;
    if (len > memory.len - offset) explore_fail("plain bytes run over the end of the memory");
    uint8_t me = (uint8_t)explore_me();
    const struct view *v = &memory.thread[me].view;
    for (size_t g = offset / GRANULE; g <= (offset + len - 1) / GRANULE; g++) {
        if (memory.location_at[2 * g] || memory.location_at[2 * g + 1])
            explore_fail("plain bytes at %zu overlap a word", g * GRANULE);
        if (writes)
            granule_write(v, &memory.granule[g], me, g * GRANULE);
        else if (g >= memory.tried_from && g < memory.tried_to)
            granule_try(v, &memory.granule[g], me);
        else
            granule_read(v, &memory.granule[g], me, g * GRANULE);
    }
    explore_say("%s %zu plain bytes at %zu", writes ? "writes" : "reads", len, offset);
}

void memory_write(void *to, const void *from, size_t len)
{
    memory_touch(to, len, true);
    if (len > 0) memcpy(to, from, len);
}

void memory_read(void *to, const void *from, size_t len)
{
    memory_touch(from, len, false);
    if (len > 0) memcpy(to, from, len);
}

void memory_keep(void)
{
    int me = explore_me();
    if (memory.thread[me].spoiled)
        explore_fail("race: thread %d keeps what it read while it may have been written", me);
    for (size_t i = memory.tried_from; i < memory.tried_to; i++) {
        struct granule *g = &memory.granule[i];
        if (g->tried[me] > g->read[me]) g->read[me] = g->tried[me];
        g->tried[me] = 0;
    }
    explore_say("keeps what it read");
}

void memory_drop(void)
{
    int me = explore_me();
    memory.thread[me].spoiled = false;
    for (size_t i = memory.tried_from; i < memory.tried_to; i++) memory.granule[i].tried[me] = 0;
    explore_say("drops what it read");
}

/* --- for the explorer ------------------------------------------------------------------------- */

void memory_mark(int thread)
{
    memory.thread[thread].watches = true;
    memset(memory.thread[thread].watched, 0, sizeof(memory.thread[thread].watched));
}

static bool location_has_news(int thread, int index)
{
    const struct memory_thread *t = &memory.thread[thread];
    const struct location *l = &memory.location[index];
    return t->watched[index] && l->place[t->seen[index]] + 1 < l->count;
}

bool memory_has_news(int thread)
{
    for (int i = 0; i < memory.locations; i++)
        if (location_has_news(thread, i)) return true;
    return false;
}

void memory_take_news(int thread)
{
    int news = 0;
    for (int i = 0; i < memory.locations; i++) news += location_has_news(thread, i);
    int chosen = explore_choose(news);
    for (int i = 0; i < memory.locations; i++) {
        if (!location_has_news(thread, i) || chosen-- > 0) continue;
        const struct location *l = &memory.location[i];
        struct view *v = &memory.thread[thread].view;
        uint8_t next = l->order[l->place[memory.thread[thread].seen[i]] + 1];
        if (l->place[next] > l->place[v->at[i]]) v->at[i] = next;
        break;
    }
    memory_mark(thread);
}

/* What every living thread has left behind matters no more, and how much that is neither: hashes
 * count from there, so that states differ only if their future may. */
static struct view horizon(unsigned living)
{
    struct view least = { { 0 }, { 0 } };
    bool first = true;
    for (int t = 0; t < memory.threads; t++) {
        const struct view *v = &memory.thread[t].view;
        if (!(living >> t & 1)) continue;
        for (int i = 0; i < memory.locations; i++) {
            const uint8_t *place = memory.location[i].place;
            if (first || place[v->at[i]] < least.at[i]) least.at[i] = place[v->at[i]];
        }
        for (int u = 0; u < memory.threads; u++)
            if (first || v->clock[u] < least.clock[u]) least.clock[u] = v->clock[u];
        first = false;
    }
    return least;
}

static uint64_t beyond(uint8_t at, uint8_t least)
{
    return at > least ? (uint64_t)(at - least) : 0;
}

static uint64_t view_hash(uint64_t hash, const struct view *v, const struct view *least)
{
    uint64_t packed = 0;
    for (int i = 0; i < memory.locations; i++) {
        packed = packed << 8 | beyond(memory.location[i].place[v->at[i]], least->at[i]);
        if (i % 8 == 7) hash = explore_mix(hash, packed);
    }
    hash = explore_mix(hash, packed);
    packed = 0;
    for (int t = 0; t < memory.threads; t++)
        packed = packed << 8 | beyond(v->clock[t], least->clock[t]);
    return explore_mix(hash, packed);
}

static uint64_t location_hash(uint64_t hash, int index, const struct view *least)
{
    const struct location *l = &memory.location[index];
    hash = explore_mix(hash, (uint64_t)(l->count - least->at[index]));
    for (int i = least->at[index]; i < l->count; i++) {
        const struct message *m = &l->messages[l->order[i]];
        bool is_tied = m->is_tied && i > least->at[index];
        hash = view_hash(explore_mix(explore_mix(hash, m->value), is_tied), &m->view, least);
    }
    return hash;
}

/* A granule whose accesses all know of is as one that was never touched, and becomes so. */
static uint64_t granule_hash(uint64_t hash, size_t index, const struct view *least)
{
    struct granule *g = &memory.granule[index];
    uint64_t packed = beyond(g->written, least->clock[g->writer]);
    uint64_t tried = 0;
    if (packed) packed |= (uint64_t)g->writer << 8;
    for (int t = 0; t < memory.threads; t++) {
        packed = packed << 8 | beyond(g->read[t], least->clock[t]);
        tried = tried << 8 | beyond(g->tried[t], least->clock[t]);
    }
    if (packed || tried)
        return explore_mix(explore_mix(explore_mix(hash, index), packed), tried);
    memset(g, 0, sizeof(*g));
    return hash;
}

static uint64_t thread_hash(uint64_t hash, const struct memory_thread *t, const struct view *least)
{
    hash = explore_mix(view_hash(hash, &t->view, least), t->spoiled);
    if (sites.how == WEAKEN_PLACE) {
        hash = view_hash(hash, &t->settled, least);
        hash = view_hash(hash, &t->before_store, least);
    }
    for (int i = 0; i < memory.locations; i++) {
        uint8_t place = memory.location[i].place[t->seen[i]];
        if (t->watched[i])
            hash = explore_mix(hash, (uint64_t)(i + 1) << 8 | beyond(place, least->at[i]));
    }
    return hash;
}

uint64_t memory_hash(unsigned living)
{
    static const struct granule untouched;
    struct view least = horizon(living);
    uint64_t hash = 0;
    for (int i = 0; i < memory.locations; i++) hash = location_hash(hash, i, &least);
    for (int t = 0; t < memory.threads; t++)
        if (living >> t & 1) hash = thread_hash(hash, &memory.thread[t], &least);
    for (size_t g = 0; g < memory.len / GRANULE; g++)
        if (memcmp(&memory.granule[g], &untouched, sizeof(untouched)) != 0)
            hash = granule_hash(hash, g, &least);
    return hash;
}

uint64_t memory_last(const void *word)
{
    const struct location *l = &memory.location[location_of(word)];
    return l->messages[l->order[l->count - 1]].value;
}
