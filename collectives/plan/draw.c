/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * draw.c - a plan as a picture: what happens when, and what waits for what
 *
 * Up to 64 ranks each have a line; a bar is a processor at work (send, receive, arithmetic; of
 * every other tile paler), a thin line a message from its sender to its receiver, and red what the
 * last rank to finish had to wait for, all the way back. More ranks are bands: a row is the n-th
 * operation, and the bar says between which times the ranks end it, those with equally many
 * operations in a colour of their own. Below are the dependencies of the rank that does most on the
 * red line. No script, no font of our own; titles tell more where the pointer rests. The same plan
 * gives the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "collectives/plan/simulate.h"

enum {
    WIDTH = 1100,
    LEFT = 84,
    RIGHT = 30,
    TOP = 84,
    LANES_MAX = 64,
    GRAPH_MAX = 64,
    KINDS_MAX = 3
};
/* of the dependencies: each, and all of them */
enum { ROW_NAMES = 40, INDENT = 22, INDENTS = 520 };

struct drawing {
    FILE *out;
    const struct plan *p;
    const struct simulation *s;
    int64_t end;
    int lane, height; /* of a rank's line; of all of the diagram */
    uint32_t rows;    /* of bands */
    double unit;      /* of the axis, ps */
};

static const char *const style =
    "text{font:12px sans-serif;fill:#222}.t{font-size:17px;font-weight:600}.d{fill:#666}"
    ".axis{stroke:#ccc;stroke-width:1}.idle{stroke:#ddd;stroke-width:2}"
    ".send{fill:#3b78b5}.recv{fill:#57a773}.calc{fill:#d9a13b}"
    ".odd{opacity:.6}"
    ".msg{stroke:#8aa;stroke-width:1;opacity:.7}.crit{stroke:#c8102e;stroke-width:2.2;fill:none}"
    ".node{fill:#fff;stroke:#555}.dep{stroke:#777;fill:none;marker-end:url(#a)}"
    ".g{paint-order:stroke;stroke:#fff;stroke-width:3px}"
    ".k0{fill:#3b78b5;stroke:#3b78b5}.k1{fill:#57a773;stroke:#57a773}"
    ".k2{fill:#d9a13b;stroke:#d9a13b}"
    ".band{stroke:none;opacity:.35}.mid{stroke-width:2}";

static double draw_x(const struct drawing *d, int64_t ps)
{
    return LEFT + (double)(WIDTH - LEFT - RIGHT) * (double)ps / (double)(d->end ? d->end : 1);
}

static double draw_y(const struct drawing *d, uint32_t rank)
{
    return TOP + 12 + (double)d->lane * rank;
}

static void draw_axis(const struct drawing *d)
{
    int64_t step = 1000;
    while (d->end / step > 12) step *= d->end / step > 60 ? 10 : d->end / step > 24 ? 5 : 2;
    for (int64_t t = 0; t <= d->end; t += step) {
        double x = draw_x(d, t);
        fprintf(d->out,
                "<line class='axis' x1='%.1f' y1='%d' x2='%.1f' y2='%d'/>"
                "<text class='d' x='%.1f' y='%d' text-anchor='middle'>%.4g</text>\n",
                x, TOP - 8, x, TOP + d->height, x, TOP - 14, (double)t / d->unit);
    }
}

/* ----------------------------------------------------------------------------------- space-time */

static const char *draw_class(const struct op *op)
{
    return op_kind(op) == OP_SEND ? "send" : op_receives(op) || op_reads(op) ? "recv" : "calc";
}

static void draw_lane(const struct drawing *d, uint32_t rank)
{
    double y = draw_y(d, rank), tall = d->lane > 9 ? 8 : d->lane - 1;
    fprintf(d->out,
            "<text class='d' x='%d' y='%.1f' text-anchor='end'>%u</text>"
            "<line class='idle' x1='%d' y1='%.1f' x2='%.1f' y2='%.1f'/>\n",
            LEFT - 10, y + 4, rank, LEFT, y, draw_x(d, d->s->finish[rank]), y);
    const struct lane *lane = &d->p->lane[rank];
    uint32_t each = d->p->tiles > 1 ? lane->n / d->p->tiles : 0; /* operations of a tile */
    for (uint32_t i = 0; i < lane->n; i++) {
        const struct happening *h = &d->s->at[rank][i];
        char text[WHY_MAX];
        if (h->end <= h->begin) continue;
        double wide = draw_x(d, h->end) - draw_x(d, h->begin);
        instance_text(d->p, rank, i, text, sizeof(text));
        fprintf(d->out,
                "<rect class='%s%s' x='%.1f' y='%.1f' width='%.1f' height='%.1f'>"
                "<title>%s&#10;%.3f to %.3f us</title></rect>\n",
                draw_class(&lane->op[i]), each && i / each % 2 ? " odd" : "", draw_x(d, h->begin),
                y - tall / 2, wide > 6 ? wide - 0.8 : wide, tall, text, (double)h->begin / 1e6,
                (double)h->end / 1e6);
    }
}

static void draw_messages(const struct drawing *d, uint32_t **mate)
{
    for (uint32_t r = 0; r < d->p->size; r++)
        for (uint32_t i = 0; i < d->p->lane[r].n; i++) {
            const struct op *op = &d->p->lane[r].op[i];
            if (op_kind(op) != OP_SEND) continue;
            uint32_t peer = op->at[FIELD_PEER];
            fprintf(d->out, "<line class='msg' x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f'/>\n",
                    draw_x(d, d->s->at[r][i].begin), draw_y(d, r),
                    draw_x(d, d->s->at[peer][mate[r][i]].begin), draw_y(d, peer));
        }
}

static double draw_row(const struct drawing *d, uint32_t i)
{
    return TOP + 12 + (double)(d->height - 24) * i / (d->rows ? d->rows : 1);
}

/* From the end of the last rank back to the beginning. */
static void draw_critical(const struct drawing *d, bool by_rank)
{
    uint32_t rank = d->s->last_rank, i = 0;
    for (uint32_t k = 0; k < d->p->lane[rank].n; k++)
        if (d->s->at[rank][k].end > d->s->at[rank][i].end) i = k;
    fprintf(d->out, "<path class='crit' d='");
    for (char command = 'M'; d->p->lane[rank].n; command = 'L') {
        const struct happening *h = &d->s->at[rank][i];
        double y = by_rank ? draw_y(d, rank) : (draw_row(d, i) + draw_row(d, i + 1)) / 2;
        fprintf(d->out, "%c%.1f %.1fL%.1f %.1f", command, draw_x(d, h->end), y, draw_x(d, h->begin),
                y);
        if (h->cause_rank == UINT32_MAX) break;
        rank = h->cause_rank;
        i = h->cause;
    }
    fprintf(d->out, "'/>\n");
}

/* --------------------------------------------------------------------------------------- bands */

static int time_compare(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static int64_t draw_cut(const int64_t *sorted, uint32_t n, unsigned percent)
{
    return sorted[(uint64_t)(n - 1) * percent / 100];
}

/* Ranks with equally many operations. */
struct alike {
    uint32_t n, ranks;
};

/* The KINDS_MAX most frequent, the most frequent first; their number. n has room for all ranks. */
static int draw_kinds(const struct plan *p, struct alike kind[KINDS_MAX], int64_t *n)
{
    int kinds = 0;
    for (uint32_t r = 0; r < p->size; r++) n[r] = p->lane[r].n;
    qsort(n, p->size, sizeof(*n), time_compare);
    for (uint32_t r = 0, next; r < p->size; r = next) {
        for (next = r; next < p->size && n[next] == n[r];) next++;
        struct alike k = { (uint32_t)n[r], next - r };
        for (int i = 0; i < KINDS_MAX && k.ranks; i++) { /* the more frequent go before */
            if (i == kinds) kind[kinds++] = (struct alike){ 0, 0 };
            if (kind[i].ranks >= k.ranks) continue;
            struct alike less = kind[i];
            kind[i] = k;
            k = less;
        }
    }
    return kinds;
}

static const char *draw_verb(enum op_kind kind)
{
    static const char *const verbs[] = { "nop", "send", "recv", "reduce", "reduce", "copy", "read",
                                        "read" };
    return kind < sizeof(verbs) / sizeof(verbs[0]) ? verbs[kind] : "";
}

/* One kind's bar in row i: from 0 to 100 percent of its ranks, darker from 25 to 75. */
static void draw_band(const struct drawing *d, const struct alike *kind, int which, double y,
                      double tall, uint32_t i, int64_t *end)
{
    uint32_t n = 0;
    for (uint32_t r = 0; r < d->p->size; r++)
        if (d->p->lane[r].n == kind->n && i < kind->n && d->s->at[r][i].end)
            end[n++] = d->s->at[r][i].end;
    if (n == 0) return;
    qsort(end, n, sizeof(*end), time_compare);
    for (unsigned low = 0; low <= 25; low += 25)
        fprintf(d->out,
                "<rect class='band k%d' x='%.1f' y='%.1f' width='%.1f' height='%.1f'>"
                "<title>operation %u of %u ranks: %.3f to %.3f us</title></rect>\n",
                which, draw_x(d, draw_cut(end, n, low)), y,
                draw_x(d, draw_cut(end, n, 100 - low)) - draw_x(d, draw_cut(end, n, low)) + 1, tall,
                i, n, (double)end[0] / 1e6, (double)end[n - 1] / 1e6);
    double mid = draw_x(d, draw_cut(end, n, 50));
    fprintf(d->out, "<line class='mid k%d' x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f'/>\n", which, mid,
            y, mid, y + tall);
}

static void draw_legend(const struct drawing *d, const struct alike *kind, int kinds)
{
    int x = 20;
    for (int k = 0; k < kinds; k++, x += 220)
        fprintf(d->out,
                "<rect class='k%d' x='%d' y='%d' width='10' height='10'/>"
                "<text class='d' x='%d' y='%d'>%u ranks with %u operations</text>\n",
                k, x, TOP + d->height + 8, x + 16, TOP + d->height + 17, kind[k].ranks, kind[k].n);
}

static void draw_bands(const struct drawing *d)
{
    struct alike kind[KINDS_MAX];
    int64_t *end = malloc(d->p->size * sizeof(*end));
    if (!end) return;
    int kinds = draw_kinds(d->p, kind, end);
    const struct lane *longest = &d->p->lane[0];
    for (uint32_t r = 0; r < d->p->size; r++)
        if (d->p->lane[r].n > longest->n) longest = &d->p->lane[r];
    for (uint32_t i = 0; i < d->rows; i++) {
        double y = draw_row(d, i), tall = (draw_row(d, i + 1) - y) * 0.85 / kinds;
        if (i % (d->rows / ROW_NAMES + 1) == 0)
            fprintf(d->out, "<text class='d' x='%d' y='%.1f' text-anchor='end'>%s %u</text>\n",
                    LEFT - 8, (y + draw_row(d, i + 1)) / 2 + 3, draw_verb(op_kind(&longest->op[i])),
                    i);
        for (int k = 0; k < kinds; k++) draw_band(d, &kind[k], k, y + k * tall, tall, i, end);
    }
    draw_legend(d, kind, kinds);
    free(end);
}

/* ----------------------------------------------------------------------------------- dependencies
 */

/* On the red line, of those with most operations the last one. */
static uint32_t draw_busiest(const struct drawing *d)
{
    uint32_t rank = d->s->last_rank, i = 0, busiest = rank;
    for (uint32_t k = 0; k < d->p->lane[rank].n; k++)
        if (d->s->at[rank][k].end > d->s->at[rank][i].end) i = k;
    while (d->p->lane[rank].n) {
        const struct happening *h = &d->s->at[rank][i];
        if (d->p->lane[rank].n > d->p->lane[busiest].n) busiest = rank;
        if (h->cause_rank == UINT32_MAX) break;
        rank = h->cause_rank;
        i = h->cause;
    }
    return busiest;
}

static uint32_t draw_shown(const struct drawing *d, uint32_t rank)
{
    return d->p->lane[rank].n < GRAPH_MAX ? d->p->lane[rank].n : GRAPH_MAX;
}

/* How far right each operation stands: further than what it waits for. The furthest. */
static uint32_t draw_columns(const struct drawing *d, uint32_t rank, uint32_t column[GRAPH_MAX])
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < draw_shown(d, rank); i++) {
        const struct op *op = &d->p->lane[rank].op[i];
        column[i] = 0;
        for (int k = 0; k < 2; k++)
            if (op->dep[k] && column[i - op->dep[k]] >= column[i])
                column[i] = column[i - op->dep[k]] + 1;
        if (column[i] > most) most = column[i];
    }
    return most;
}

/* One above the other in program order, what waits for something further right than that. */
static void draw_graph(const struct drawing *d, uint32_t rank, int top)
{
    uint32_t n = draw_shown(d, rank), column[GRAPH_MAX];
    uint32_t most = draw_columns(d, rank, column);
    int indent = most > INDENTS / INDENT ? INDENTS / (int)most : INDENT;
    fprintf(d->out, "<text class='t' x='20' y='%d'>What waits for what on rank %u%s</text>\n",
            top - 12, rank, n < d->p->lane[rank].n ? ", its beginning" : "");
    for (uint32_t i = 0; i < n; i++) {
        const struct op *op = &d->p->lane[rank].op[i];
        char text[WHY_MAX];
        int x = 20 + indent * (int)column[i], y = top + 12 + 20 * (int)i;
        for (int k = 0; k < 2; k++) {
            if (!op->dep[k]) continue;
            uint32_t j = i - op->dep[k];
            int from = 20 + indent * (int)column[j] + 6, from_y = top + 12 + 20 * (int)j;
            fprintf(d->out, "<path class='dep' d='M%d %dC%d %d %d %d %d %d'/>\n", from, from_y + 6,
                    from, y, x - 14, y, x - 1, y);
        }
        instance_text(d->p, rank, i, text, sizeof(text));
        const char *what = strstr(text, ": ");
        fprintf(d->out,
                "<rect class='%s' x='%d' y='%d' width='12' height='12' rx='2'/>"
                "<text class='g' x='%d' y='%d'>%u %s</text>\n",
                draw_class(op), x, y - 6, x + 18, y + 4, i, what ? what + 2 : text);
    }
}

/* "64 KiB", "1000 bytes" */
static const char *draw_size(uint64_t bytes, char text[32])
{
    unsigned long long n = bytes;
    if (n >= 1 << 20 && n % (1 << 20) == 0)
        snprintf(text, 32, "%llu MiB", n >> 20);
    else if (n >= 1 << 10 && n % (1 << 10) == 0)
        snprintf(text, 32, "%llu KiB", n >> 10);
    else
        snprintf(text, 32, "%llu bytes", n);
    return text;
}

void draw_svg(FILE *out, const struct plan *p, const struct simulation *s, uint64_t bytes)
{
    struct drawing d = { .out = out, .p = p, .s = s, .end = s->finish[s->last_rank] };
    bool lanes = p->size <= LANES_MAX;
    char why[WHY_MAX], name[ALGORITHM_NAME_MAX], size[32];
    uint32_t busiest = draw_busiest(&d), shown = draw_shown(&d, busiest);
    d.unit = d.end >= 10 * INT64_C(1000000000) ? 1e9 : 1e6;
    uint32_t **mate = NULL;
    d.lane = p->size <= 16 ? 30 : 14;
    for (uint32_t r = 0; r < p->size; r++)
        if (p->lane[r].n > d.rows) d.rows = p->lane[r].n;
    d.height = lanes ? d.lane * (int)p->size + 12 : 480;
    int graph = TOP + d.height + 60, height = graph + 20 * (int)shown + 30;
    fprintf(out,
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' width='%d' height='%d'>\n"
            "<style>%s</style><defs><marker id='a' viewBox='0 0 8 8' refX='7' refY='4' "
            "markerWidth='7' markerHeight='7' orient='auto'><path d='M0 0L8 4L0 8z' fill='#777'/>"
            "</marker></defs>\n<rect width='%d' height='%d' fill='#fff'/>\n",
            WIDTH, height, WIDTH, height, style, WIDTH, height);
    fprintf(out,
            "<text class='t' x='20' y='28'>%s by %s, %u ranks, %s: %.*f %s</text>"
            "<text class='d' x='20' y='48'>%s; red: what the last one had to wait for. "
            "Time in %s.</text>\n",
            collective_name(p->algorithm->collective),
            algorithm_text(p->algorithm, p->algorithm->initial, name), p->size,
            draw_size(bytes, size), d.unit > 1e6 ? 2 : 3, (double)d.end / d.unit,
            d.unit > 1e6 ? "ms" : "us",
            lanes ? "a line is a rank; blue sends, green receives, yellow computes"
                  : "a row is an operation; its bar: when ranks end it, darker between a quarter "
                    "and three quarters of them, the line: half",
            d.unit > 1e6 ? "ms" : "us");
    draw_axis(&d);
    if (lanes && plan_mates(p, &mate, why) == 0) draw_messages(&d, mate);
    plan_mates_free(p, mate);
    for (uint32_t r = 0; lanes && r < p->size; r++) draw_lane(&d, r);
    if (!lanes) draw_bands(&d);
    draw_critical(&d, lanes);
    draw_graph(&d, busiest, graph);
    fprintf(out, "</svg>\n");
}
