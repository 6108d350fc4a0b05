/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ofi.c - the table: open, close, reach, sleeping
 *
 *   address  | "oFi1" | major 1 | minor 1 | version 1 | local 1 | host 8 | provider 24 |
 *
 * version is of these links. The endpoint's own address, which may be long, is told
 * (transport/framed/offer.c). local: the provider reaches only who has the same `host`, a hash of
 * the boot and of what is mounted on /dev/shm.
 */
#include "transport/ofi/ofi.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/wire.h"
#include "transport/ofi/internal.h"
#include "transport/stub.h"

#define ADDRESS_MAGIC 0x3169466fu
enum { ADDRESS_LEN = 40, LINKS_VERSION = 3 };

static struct ofi *ofi_at(struct transport *t)
{
    return ofi_of(framed_of(t));
}

/* ---- open ------------------------------------------------------------------------------------ */

/* FNV-1a over what tells this host, and this part of it, from others. */
static uint64_t host_hash(void)
{
    uint8_t bytes[64] = { 0 };
    struct stat shm;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, bytes, 36) < 0) bytes[0] = 0;
    if (fd >= 0) close(fd);
    if (stat("/dev/shm", &shm) == 0) wire_put64(bytes + 40, (uint64_t)shm.st_dev);
    for (size_t i = 0; i < sizeof(bytes); i++) hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static void write_address(struct ofi *t)
{
    struct transport *base = &t->base.base;
    uint32_t version = t->api.version();
    memset(base->address, 0, ADDRESS_LEN);
    wire_put32(base->address, ADDRESS_MAGIC);
    base->address[4] = (uint8_t)FI_MAJOR(version);
    base->address[5] = (uint8_t)FI_MINOR(version);
    base->address[6] = LINKS_VERSION;
    base->address[7] = t->local;
    wire_put64(base->address + 8, host_hash());
    snprintf((char *)base->address + 16, OFI_NAME_MAX, "%s", t->info->fabric_attr->prov_name);
    base->address_len = ADDRESS_LEN;
}

static int open_one(struct ofi *t, const char *name, struct why *why)
{
    int status = provider_take(t, name, why);
    if (status == 0) status = station_open(t, why);
    if (status == 0) status = sleeper_open(&t->sleeper, why);
    if (status == 0 && t->wait_fd >= 0) status = sleeper_watch(&t->sleeper, t->wait_fd, why);
    if (status == 0) return 0;
    sleeper_close(&t->sleeper);
    station_close(t);
    return status;
}

/* The best that opens; `refused` gets the others that were tried. */
static int open_best(struct ofi *t, struct text *refused)
{
    struct candidate found[CANDIDATES_MAX];
    struct why *why = &t->base.base.why;
    int n = providers_find(t, found, refused, why);
    if (n < 0) return n;
    for (int i = 0; i < n; i++) {
        struct why one;
        t->local = found[i].local;
        if (open_one(t, found[i].name, &one) == 0) {
            for (int j = i + 1; j < n; j++)
                text_add(refused, "%s%s: comes after it", refused->need ? "; " : "", found[j].name);
            return 0;
        }
        text_add(refused, "%s%s: %s", refused->need ? "; " : "", found[i].name, one.text);
    }
    return why_set(why, SINEW_ENOTSUP, "no provider of libfabric works here: %s", refused->at);
}

static void write_note(struct ofi *t, const char *refused)
{
    uint32_t version = t->api.version();
    struct text text = text_into(t->note, sizeof(t->note));
    text_add(&text, "provider %s, domain %s, libfabric %u.%u", t->info->fabric_attr->prov_name,
             t->info->domain_attr->name, FI_MAJOR(version), FI_MINOR(version));
    if (t->wait_fd < 0)
        text_add(&text,
                 "; it has no descriptor to wait for: asleep, it is looked at every "
                 "%d us",
                 (int)(OFI_TICK_NS / 1000));
    if (!(t->base.native & REGION_GET)) text_add(&text, "; long messages go as frames");
    if (t->base.native & REGION_ATOMIC) text_add(&text, "; atomics by the device");
    if (refused[0]) text_add(&text, "; not taken: %s", refused);
    text_mark_cut(&text);
}

static void write_about(struct ofi *t)
{
    struct transport *base = &t->base.base;
    uint32_t version = t->api.version();
    snprintf(base->about, sizeof(base->about), "libfabric %u.%u, built with %d.%d",
             FI_MAJOR(version), FI_MINOR(version), FI_MAJOR_VERSION, FI_MINOR_VERSION);
    base->choice = t->note;
}

static int make(struct ofi *t)
{
    char text[OFI_NOTE_MAX] = "";
    struct text refused = text_into(text, sizeof(text));
    struct transport *base = &t->base.base;
    int status = api_load(&t->api, &base->why);
    if (status < 0) return status;
    t->version = FI_VERSION(FI_MAJOR_VERSION, FI_MINOR_VERSION);
    if (t->api.version() < t->version) t->version = t->api.version();
    status = open_best(t, &refused);
    if (status < 0) return status;
    text_mark_cut(&refused);
    write_note(t, text);
    write_about(t);
    write_address(t);
    log_line(base->opt.log, LOG_CHOICE, "ofi: %s", t->note);
    return 0;
}

static int ofi_open(struct transport *base)
{
    struct ofi *t = ofi_at(base);
    struct api_guard guard;
    framed_init(&t->base, &fabric_ofi);
    list_init(&t->spare_parts);
    list_init(&t->flying_parts);
    sleeper_init(&t->sleeper);
    base->fd = -1;
    int status = api_begin(&guard, base->opt.world, base->opt.size, &base->why);
    if (status < 0) return status;
    status = make(t);
    api_end(&guard);
    if (status < 0) return status;
    base->fd = t->sleeper.fd;
    base->caps = (struct transport_caps){
        .eager_max = FRAMED_EAGER_MAX,
        .copy_max = FRAMED_EAGER_MAX,
        .put_ordered = true,
        .get = true,
        .atomic = true,
        .expects = true,
        .wired = true,
        .local = t->local,
        .latency_ns = 3000,
        .megabytes_per_s = 5000,
    };
    return 0;
}

static void ofi_close(struct transport *base)
{
    struct ofi *t = ofi_at(base);
    struct api_guard guard;
    framed_finish(&t->base);
    if (t->base.strays)
        log_line(base->opt.log, LOG_DETAIL,
                 "ofi: %" PRIu64 " messages belonged to no link: dropped", t->base.strays);
    bool guarded = api_begin(&guard, base->opt.world, base->opt.size, NULL) == 0;
    sleeper_close(&t->sleeper);
    station_close(t);
    if (guarded) api_end(&guard);
    parts_release(t);
}

static int ofi_reach(struct transport *base, const void *address, size_t len, struct why *why)
{
    const uint8_t *theirs = address, *mine = base->address;
    if (len != ADDRESS_LEN || wire_get32(theirs) != ADDRESS_MAGIC || theirs[ADDRESS_LEN - 1])
        return why_set(why, SINEW_EINVAL, "%zu bytes that are no address of ofi", len);
    if (theirs[6] != LINKS_VERSION)
        return why_set(why, SINEW_EVERSION,
                       "the peer's links over libfabric are of version %u, these of %d", theirs[6],
                       LINKS_VERSION);
    if (memcmp(theirs + 16, mine + 16, OFI_NAME_MAX) != 0)
        return why_set(
            why, SINEW_EUNREACHABLE,
            "the peer's provider is %.23s, this one's %.23s: set ofi_provider alike on both",
            (const char *)theirs + 16, (const char *)mine + 16);
    if (theirs[7] && memcmp(theirs + 8, mine + 8, 8) != 0)
        return why_set(why, SINEW_EUNREACHABLE,
                       "%.23s reaches its own host only, and the peer is elsewhere",
                       (const char *)theirs + 16);
    return 40;
}

static int ofi_connect(struct link *l, const void *bytes, size_t len)
{
    l->note = ofi_at(l->transport)->note;
    return framed_connect(l, bytes, len);
}

/* ---- sleeping -------------------------------------------------------------------------------- */

static int ofi_progress(struct transport *base, struct link *l)
{
    struct ofi *t = ofi_at(base);
    if (t->armed) sleeper_woke(&t->sleeper);
    t->armed = false;
    return framed_progress(base, l);
}

static int ofi_arm(struct transport *base)
{
    struct ofi *t = ofi_at(base);
    int64_t at = framed_deadline(&t->base);
    if (at == 0) return SINEW_PENDING;
    t->armed = true;
    if (t->wait_fd >= 0 && t->ep) {
        struct fid *fid = &t->cq->fid;
        if (fi_trywait(t->fabric, &fid, 1) != FI_SUCCESS) return SINEW_PENDING;
    } else {
        int64_t tick = world_now(base->opt.world) + OFI_TICK_NS;
        if (tick < at) at = tick;
    }
    return sleeper_until(&t->sleeper, base->opt.world, at);
}

const struct transport_ops transport_ofi = {
    .name = "ofi",
    .id = 6,
    .transport_size = sizeof(struct ofi),
    .link_size = sizeof(struct framed_link),
    .open = ofi_open,
    .close = ofi_close,
    .reach = ofi_reach,
    .connect = ofi_connect,
    .disconnect = framed_disconnect,
    .send = framed_send,
    .allow = stub_allow,
    .send_short = stub_send_short,
    .take_short = stub_take_short,
    .peek = stub_peek,
    .drop = stub_drop,
    .rma = framed_rma,
    .flush = framed_flush,
    .reg = framed_reg,
    .dereg = framed_dereg,
    .progress = ofi_progress,
    .arm = ofi_arm,
};
