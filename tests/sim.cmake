# SPDX-License-Identifier: BSD-3-Clause
sinew_test(NAME sim-messages SOURCES unit/sim_messages.c unit/sim_node.c LABELS unit sim)
sinew_test(NAME sim-links SOURCES unit/sim_links.c unit/sim_node.c LABELS unit sim)
sinew_test(NAME sim-puts SOURCES unit/sim_puts.c unit/sim_node.c LABELS unit sim)
sinew_test(NAME sim-world SOURCES unit/sim_world.c unit/sim_node.c LABELS unit sim)
sinew_test(NAME sim-random SOURCES unit/sim_random.c unit/sim_node.c LABELS unit sim)
