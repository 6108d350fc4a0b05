# SPDX-License-Identifier: BSD-3-Clause
# The loader, on modules of which each but one has something wrong.
set(modules ${PROJECT_BINARY_DIR}/tests/modules)
function(sinew_test_module kind)
  sinew_module(test_${kind} NO_INSTALL OUTPUT_NAME sinew-verbs OUTPUT_DIRECTORY ${modules}/${kind}
    SOURCES module/module.c BASE log.c text.c)
  target_compile_definitions(sinew_module_test_${kind} PRIVATE ${ARGN})
  add_dependencies(test-module sinew_module_test_${kind})
endfunction()

sinew_test(NAME reorder SOURCES unit/reorder_test.c LABELS unit)
sinew_test(NAME module SOURCES unit/module_test.c LABELS unit)
target_compile_definitions(test-module PRIVATE MODULES="${modules}")
sinew_test_module(ok MODULE_NAME="verbs")
sinew_test_module(slow MODULE_NAME="verbs" MODULE_SLOW)
sinew_test_module(abi MODULE_NAME="verbs" MODULE_ODD=abi)
sinew_test_module(size MODULE_NAME="verbs" MODULE_ODD=size)
sinew_test_module(link_size MODULE_NAME="verbs" MODULE_ODD=link_size)
sinew_test_module(config_size MODULE_NAME="verbs" MODULE_ODD=config_size)
sinew_test_module(symbol MODULE_NAME="verbs" MODULE_WITHOUT_SYMBOL)
sinew_test_module(name MODULE_NAME="other")
