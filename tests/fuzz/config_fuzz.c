/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/config.h"
#include "base/value.h"
#include "tests/fuzz/fuzz.h"

static void takes_what_it_prints(const struct config *c)
{
    struct config again;
    struct config_row row;
    struct why why;
    memset(&again, 0, sizeof(again));
    for (int i = 0; config_row(c, NULL, i, &row); i++)
        PROMISE(config_set(&again, row.name, row.value, &why) == 0);
    PROMISE(memcmp(&again, c, sizeof(again)) == 0);
}

/* Text as settings, as a variable, and as a value. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct sinew_options o = SINEW_OPTIONS_INIT;
    struct config c;
    struct why why;
    int64_t value;
    char text[600], variable[700];
    char *environment[] = { variable, NULL };
    if (len >= sizeof(text)) return 0;
    memcpy(text, bytes, len);
    text[len] = '\0';
    snprintf(variable, sizeof(variable), "SINEW_%s", text);
    value_parse_number(text, &value);
    value_parse_size(text, &value);
    value_parse_time(text, &value);
    if (config_load(&c, NULL, environment, NULL, NULL, &why) == 0) takes_what_it_prints(&c);
    o.settings = text;
    if (config_load(&c, &o, NULL, NULL, NULL, &why) == 0) takes_what_it_prints(&c);
    return 0;
}
