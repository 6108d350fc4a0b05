/* SPDX-License-Identifier: BSD-3-Clause */
#include "sinew/sinew.h"

const char *sinew_strerror(int status)
{
    switch (status) {
#define STATUS_TEXT(name, number, text) case number: return text;
        SINEW_STATUS_LIST(STATUS_TEXT)
#undef STATUS_TEXT
    default: return "unknown status";
    }
}

const char *sinew_strstatus(int status)
{
    switch (status) {
#define STATUS_NAME(name, number, text) case number: return #name;
        SINEW_STATUS_LIST(STATUS_NAME)
#undef STATUS_NAME
    default: return "SINEW_?";
    }
}

const char *sinew_version(void) { return SINEW_VERSION; }
