/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/shm/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sinew/sinew.h"
#include "transport/shm/host.h"

enum {
    SEGMENT_SEALS_FIRST = F_SEAL_SHRINK | F_SEAL_GROW,
    SEGMENT_SEALS_LAST = F_SEAL_FUTURE_WRITE | F_SEAL_SEAL,
};

size_t segment_bytes(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (2 * ring_bytes(&segment_shape) + page - 1) / page * page;
}

static int segment_fill(int fd, off_t len)
{
    int status;
    if (ftruncate(fd, len) < 0) return -1;
    do status = fallocate(fd, 0, 0, len);
    while (status < 0 && errno == EINTR);
    if (status < 0) return -1;
    return fcntl(fd, F_ADD_SEALS, SEGMENT_SEALS_FIRST);
}

int segment_create(struct why *why)
{
    size_t len = segment_bytes();
    int status = host_memory_check(len, why);
    if (status < 0) return status;
    int fd = memfd_create("sinew", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        status = errno == EMFILE || errno == ENFILE ? SINEW_ELIMIT : SINEW_EIO;
        return why_set(why, status, "memfd_create: %s", strerror(errno));
    }
    if (segment_fill(fd, (off_t)len) < 0) {
        why_set(why, 0, "%zu bytes of shared memory: %s", len, strerror(errno));
        status = errno == ENOSPC || errno == ENOMEM ? SINEW_ENOMEM : SINEW_EIO;
        close(fd);
        return status;
    }
    return fd;
}

static int check_seals(int fd, int wanted, struct why *why)
{
    struct stat file;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & wanted) != wanted)
        return why_set(why, SINEW_EPROTO,
                       "the memory shared with the peer is not sealed against change (seals %d)", seals);
    if (fstat(fd, &file) < 0 || !S_ISREG(file.st_mode) || file.st_size != (off_t)segment_bytes())
        return why_set(why, SINEW_EPROTO, "the memory shared with the peer is not %zu bytes long",
                       segment_bytes());
    if ((uint64_t)file.st_blocks * 512 < (uint64_t)file.st_size)
        return why_set(why, SINEW_EPROTO, "the memory shared with the peer is not allocated in full");
    return 0;
}

int segment_check(int fd, struct why *why)
{
    return check_seals(fd, SEGMENT_SEALS_FIRST, why);
}

int segment_seal(int fd, struct why *why)
{
    fcntl(fd, F_ADD_SEALS, SEGMENT_SEALS_LAST); /* the peer may have been first */
    return check_seals(fd, SEGMENT_SEALS_FIRST | SEGMENT_SEALS_LAST, why);
}

static void *segment_map(void *arg, int fd, size_t len)
{
    (void)arg;
    void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    return at == MAP_FAILED ? NULL : at;
}

static void segment_unmap(void *arg, void *at, size_t len)
{
    (void)arg;
    munmap(at, len);
}

const struct segment_mapper segment_mapper_real = { segment_map, segment_unmap, NULL };
