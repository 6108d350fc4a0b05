/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/module.h"

#include "transport/ofi/ofi.h"

__attribute__((visibility("default"))) const struct module_table *sinew_module(void)
{
    static const struct module_table table = MODULE_TABLE(&transport_ofi);
    return &table;
}
