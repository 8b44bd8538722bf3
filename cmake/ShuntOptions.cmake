# SPDX-License-Identifier: Apache-2.0
# Options, warnings and the libraries from Debian that several folders use.
option(SHUNT_TESTS "build the tests" ON)
option(SHUNT_FUZZ "build nothing but the fuzzers; needs clang" OFF)
set(SHUNT_SANITIZE "" CACHE STRING "sanitizers that user space is built with: address,undefined or thread; empty: none")

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(gflags REQUIRED)
find_package(Protobuf REQUIRED)
pkg_check_modules(GLOG REQUIRED IMPORTED_TARGET libglog)
pkg_check_modules(GRPC REQUIRED IMPORTED_TARGET grpc++)
pkg_check_modules(LIBCARES REQUIRED IMPORTED_TARGET libcares)
pkg_check_modules(LIBCURL REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl)
pkg_check_modules(LIBCAP_NG REQUIRED IMPORTED_TARGET libcap-ng)
pkg_check_modules(LIBSECCOMP REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(LIBBPF REQUIRED IMPORTED_TARGET libbpf)
pkg_check_modules(LIBXDP REQUIRED IMPORTED_TARGET libxdp)
pkg_check_modules(LIBMNL REQUIRED IMPORTED_TARGET libmnl)
pkg_check_modules(YAML_CPP REQUIRED IMPORTED_TARGET yaml-cpp)

# Warnings for every target of ours; generated code (protobuf, skeletons) is included as system headers.
add_library(shunt_options INTERFACE)
target_include_directories(shunt_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(shunt_options INTERFACE -Wall -Wextra -Wconversion -Wshadow -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # g++ 12 sees an overlap in every `"literal" + std::string` that it inlines (GCC bug 105651).
  target_compile_options(shunt_options INTERFACE -Wno-restrict)
endif()
if(SHUNT_SANITIZE)
  # Instrumented, the standard library's own code looks uninitialized to g++ 12.
  target_compile_options(shunt_options INTERFACE -fsanitize=${SHUNT_SANITIZE} -fno-sanitize-recover=all
                                                 -fno-omit-frame-pointer -Wno-maybe-uninitialized)
  target_link_options(shunt_options INTERFACE -fsanitize=${SHUNT_SANITIZE})
endif()

# shunt_library(NAME SOURCES... LINKS LIBS...): one folder of user space as a static library.
function(shunt_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC shunt_options ${ARG_LINKS})
endfunction()
