/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a rank can be reached, as bytes; and the order in which a peer's addresses are tried.
 */
#include "tests/unit/tcp_end.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct why why;

static union place place(const char *text)
{
    union place at;
    if (place_parse("address", text, &at, &why) < 0) fail_msg("%s", why.text);
    return at;
}

static void assert_place(const struct tcp_place *got, const char *wanted)
{
    char text[TCP_NAME_MAX];
    assert_string_equal(address_text(&got->at, text), wanted);
}

static uint32_t encode(uint8_t out[TCP_ADDRESS_MAX], uint32_t cap, const char *const *texts, int n)
{
    uint32_t len = address_begin(out, 4711);
    for (int i = 0; i < n; i++) {
        union place at = place(texts[i]);
        address_add(out, &len, cap, &at, false);
    }
    return len;
}

static void several_places_survive_being_bytes(void **state)
{
    static const char *const texts[] = { "10.1.2.3", "fd00::7", "fe80::1:2:3:4", "192.168.1.1" };
    uint8_t bytes[TCP_ADDRESS_MAX];
    struct tcp_place places[TCP_PLACES_MAX];
    union place advertised = place("203.0.113.5:7000");
    int n;
    (void)state;
    uint32_t len = encode(bytes, sizeof(bytes), texts, 4);
    assert_true(address_add(bytes, &len, sizeof(bytes), &advertised, true));
    assert_int_equal(len, 2 + 5 + 17 + 9 + 5 + 7);
    assert_int_equal(address_decode(bytes, len, places, &n, &why), 0);
    assert_int_equal(n, 5);
    assert_place(&places[0], "10.1.2.3:4711");
    assert_place(&places[1], "[fd00::7]:4711");
    assert_place(&places[2], "[fe80::1:2:3:4]:4711");
    assert_place(&places[4], "203.0.113.5:7000");
    assert_true(places[4].advertised && !places[3].advertised);
}

/* Beside the address of shared memory there is room for 19 bytes. */
static void a_record_has_room_for_three_of_v4_or_one_of_v6(void **state)
{
    static const char *const v4[] = { "10.1.2.3", "10.2.2.3", "10.3.2.3", "10.4.2.3" };
    static const char *const v6[] = { "fd00::7", "fd01::7" };
    uint8_t bytes[TCP_ADDRESS_MAX];
    (void)state;
    assert_int_equal(encode(bytes, TCP_PUBLISHED_MAX, v4, 4), 17);
    assert_int_equal(encode(bytes, TCP_PUBLISHED_MAX, v6, 2), 19);
}

/* What a rank tells when its operator says where it can be reached. */
static void assert_published(const char *advertised, const char *port, const char *wanted)
{
    struct end *e = end_open(0, 100, NULL);
    struct tcp_place places[TCP_PLACES_MAX];
    char text[TCP_NAME_MAX];
    int n;
    transport_tcp.close(&e->t->base);
    snprintf(e->config.tcp_advertise, sizeof(e->config.tcp_advertise), "%s%s", advertised, port);
    assert_int_equal(transport_tcp.open(&e->t->base), 0);
    snprintf(text, sizeof(text), "%s:%u", wanted, port[0] ? 7000u : (unsigned)e->t->port);
    assert_true(e->t->base.address_len <= TCP_PUBLISHED_MAX);
    assert_int_equal(address_decode(e->t->base.address, e->t->base.address_len, places, &n, &why),
                     0);
    assert_true(places[0].advertised);
    assert_place(&places[0], text);
    for (int i = 1; i < n; i++) assert_int_equal(ntohs(places[i].at.v4.sin_port), e->t->port);
    assert_int_equal(address_decode(e->t->places, e->t->places_len, places, &n, &why), 0);
    assert_int_equal(n, 2);
    assert_place(&places[0], text);
    assert_int_equal(ntohs(places[1].at.v4.sin_port), e->t->port);
    end_close(e);
}

static void an_advertised_address_is_in_the_record(void **state)
{
    (void)state;
    assert_published("203.0.113.5", "", "203.0.113.5");
    assert_published("203.0.113.5", ":7000", "203.0.113.5");
    assert_published("[2001:db8::5]", "", "[2001:db8::5]");
    assert_published("[2001:db8::5]", ":7000", "[2001:db8::5]");
    assert_published("[fe80::1]", ":7000", "[fe80::1]");
}

static void bytes_that_are_no_address_are_refused(void **state)
{
    static const char *const texts[] = { "10.1.2.3", "fd00::7" };
    uint8_t bytes[TCP_ADDRESS_MAX], bad[TCP_ADDRESS_MAX];
    struct tcp_place places[TCP_PLACES_MAX];
    struct seed seed = seed_from_environment("tcp addresses");
    int n = -1;
    (void)state;
    uint32_t len = encode(bytes, sizeof(bytes), texts, 2);
    for (uint32_t cut = 0; cut < len; cut++) {
        int rc = address_decode(bytes, cut, places, &n, &why);
        assert_int_equal(rc, cut == 7 ? 0 : SINEW_EINVAL);
    }
    memcpy(bad, bytes, len);
    bad[0] = bad[1] = 0; /* port 0 */
    assert_int_equal(address_decode(bad, len, places, &n, &why), SINEW_EINVAL);
    for (int i = 0; i < 100000; i++) {
        uint32_t any = (uint32_t)seed_below(&seed, sizeof(bad) + 1);
        for (uint32_t k = 0; k < any; k++) bad[k] = (uint8_t)seed_below(&seed, 12);
        uint8_t *exact = malloc(any ? any : 1); /* a sanitizer sees what reads beyond */
        memcpy(exact, bad, any);
        if (address_decode(exact, any, places, &n, &why) == 0)
            assert_true(n >= 1 && n <= TCP_PLACES_MAX);
        free(exact);
    }
}

/* What this host would say of the peer's addresses: only loopback is sure to be here. */
static struct here one_interface(void)
{
    struct here here;
    if (here_find("", &here, &why) < 0) fail_msg("%s", why.text);
    return here;
}

static void an_address_of_this_host_comes_after_what_was_met_before(void **state)
{
    static const char *const texts[] = { "127.0.0.1", "127.0.0.2" };
    static const union place none;
    struct here here = one_interface();
    struct route routes[ROUTES_MAX];
    uint8_t bytes[TCP_ADDRESS_MAX];
    char text[TCP_NAME_MAX];
    (void)state;
    uint32_t len = encode(bytes, sizeof(bytes), texts, 2);
    assert_int_equal(routes_find(&here, bytes, len, &none, routes), 2);
    assert_string_equal(address_text(&routes[0].to, text), "127.0.0.1:4711");
    assert_int_equal(routes[0].kind, ROUTE_SELF);
    union place proven = place("127.0.0.2:999");
    assert_int_equal(routes_find(&here, bytes, len, &proven, routes), 2);
    assert_string_equal(address_text(&routes[0].to, text), "127.0.0.2:4711");
    assert_true(routes[0].proven && !routes[1].proven);
}

/* Behind a NAT many may answer at one address: refusal at another port proves nothing. */
static void an_advertised_address_is_proven_with_its_port_only(void **state)
{
    struct here here = one_interface();
    struct route routes[ROUTES_MAX];
    uint8_t bytes[TCP_ADDRESS_MAX];
    union place at = place("127.0.0.1:7000"), other = place("127.0.0.1:7001");
    (void)state;
    uint32_t len = address_begin(bytes, 4711);
    address_add(bytes, &len, sizeof(bytes), &at, true);
    routes_find(&here, bytes, len, &other, routes);
    assert_false(routes[0].proven);
    routes_find(&here, bytes, len, &at, routes);
    assert_true(routes[0].proven);
}

static void what_tcp_interface_leaves_out_is_no_way(void **state)
{
    static const char *const texts[] = { "127.0.0.1" };
    static const union place none;
    struct here here;
    struct route routes[ROUTES_MAX];
    uint8_t bytes[TCP_ADDRESS_MAX];
    (void)state;
    assert_int_equal(here_find("^127.0.0.0/8", &here, &why), 0);
    uint32_t len = encode(bytes, sizeof(bytes), texts, 1);
    assert_int_equal(routes_find(&here, bytes, len, &none, routes), 1);
    assert_int_equal(routes[0].kind, ROUTE_NONE);
    assert_true(routes[0].forbidden);
    assert_string_equal(routes[0].by, "lo");
}

/* A range with one port, for two: the second is told which range, and what to do. */
static void a_range_that_is_used_up_is_named(void **state)
{
    struct end *a = end_open(0, 100, end_secret);
    struct tcp *t = world_allocate_aligned(&world_real, 64, transport_tcp.transport_size);
    struct config config = a->config;
    char port[16];
    (void)state;
    snprintf(port, sizeof(port), "%u", a->t->port);
    snprintf(config.tcp_ports, sizeof(config.tcp_ports), "%s-%s", port, port);
    t->base = a->t->base;
    t->base.opt.config = &config;
    assert_int_equal(transport_tcp.open(&t->base), SINEW_ELIMIT);
    assert_non_null(strstr(t->base.why.text, port));
    assert_non_null(strstr(t->base.why.text, "widen the range"));
    world_release(&world_real, t, transport_tcp.transport_size);
    end_close(a);
}

/* Two addresses of the peer, of which the first is of somebody else: it is met at the second. */
static void another_address_is_tried_when_one_is_refused(void **state)
{
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    union place nobody = place("127.0.0.3"), real = end_address(b);
    struct transport *t = &b->t->base;
    (void)state;
    t->address_len = address_begin(t->address, b->t->port);
    address_add(t->address, &t->address_len, TCP_PUBLISHED_MAX, &nobody, false);
    address_add(t->address, &t->address_len, TCP_PUBLISHED_MAX, &real, false);
    ends_join(a, b);
    struct tcp_link *l = a->view[1].link;
    assert_non_null(strstr(l->base.note, "to 127.0.0.1:"));
    assert_non_null(strstr(l->base.note, "tried before: 127.0.0.3:"));
    assert_non_null(strstr(l->base.note, "Connection refused"));
    assert_int_equal(end_send(a, 1, 1000), 0);
    ENDS_UNTIL(b->view[0].received == 1, a, b);
    end_close(a);
    end_close(b);
}

static void when_none_answers_all_are_named(void **state)
{
    struct end *a = end_open(0, 100, end_secret), *b = end_open(1, 101, end_secret);
    union place first = place("127.0.0.3"), second = place("127.0.0.4");
    struct transport *t = &b->t->base;
    (void)state;
    t->address_len = address_begin(t->address, b->t->port);
    address_add(t->address, &t->address_len, TCP_PUBLISHED_MAX, &first, false);
    address_add(t->address, &t->address_len, TCP_PUBLISHED_MAX, &second, false);
    end_connect(a, b);
    ENDS_UNTIL(a->view[1].downs, a);
    assert_int_equal(a->view[1].status, SINEW_EPEER);
    assert_non_null(strstr(a->view[1].why, "none of 2 ways"));
    assert_non_null(strstr(a->view[1].why, "127.0.0.3:"));
    assert_non_null(strstr(a->view[1].why, "127.0.0.4:"));
    end_close(a);
    end_close(b);
}

/* Whatever the families of the sockets at its ends, which a listener of both sees as of its own. */
static void both_ends_see_one_connection(void **state)
{
    static const struct { const char *listens, *connects; } pairs[] = {
        { "127.0.0.1", "127.0.0.1" }, { "::", "127.0.0.1" }, { "::1", "::1" } };
    const int off = 0;
    uint32_t last = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        union place at = place(pairs[i].listens), to = place(pairs[i].connects);
        socklen_t len = sizeof(at);
        int listener = socket(at.any.sa_family, SOCK_STREAM, 0);
        if (at.any.sa_family == AF_INET6)
            setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
        if (bind(listener, &at.any, place_len(&at)) < 0 && at.any.sa_family == AF_INET6) {
            print_message("no IPv6 on this host\n");
            close(listener);
            break;
        }
        assert_int_equal(listen(listener, 1), 0);
        getsockname(listener, &at.any, &len);
        address_set_port(&to,
                         ntohs(at.any.sa_family == AF_INET ? at.v4.sin_port : at.v6.sin6_port));
        int client = socket(to.any.sa_family, SOCK_STREAM, 0);
        assert_int_equal(connect(client, &to.any, place_len(&to)), 0);
        int server = accept(listener, NULL, NULL);
        assert_true(server >= 0 && address_ends(client, true) != last);
        assert_int_equal(address_ends(client, true), address_ends(server, false));
        last = address_ends(client, true);
        close(server);
        close(client);
        close(listener);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_places_survive_being_bytes),
        cmocka_unit_test(a_record_has_room_for_three_of_v4_or_one_of_v6),
        cmocka_unit_test(an_advertised_address_is_in_the_record),
        cmocka_unit_test(bytes_that_are_no_address_are_refused),
        cmocka_unit_test(an_address_of_this_host_comes_after_what_was_met_before),
        cmocka_unit_test(an_advertised_address_is_proven_with_its_port_only),
        cmocka_unit_test(what_tcp_interface_leaves_out_is_no_way),
        cmocka_unit_test(a_range_that_is_used_up_is_named),
        cmocka_unit_test(another_address_is_tried_when_one_is_refused),
        cmocka_unit_test(when_none_answers_all_are_named),
        cmocka_unit_test(both_ends_see_one_connection),
    };
    return cmocka_run_group_tests_name("tcp addresses", tests, NULL, NULL);
}
