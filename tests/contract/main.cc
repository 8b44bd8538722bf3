// SPDX-License-Identifier: Apache-2.0
// The one main of the contract tests.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
