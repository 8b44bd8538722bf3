# SPDX-License-Identifier: Apache-2.0
# How a BPF object is built: clang for the BPF target, then a skeleton by bpftool.
find_program(BPF_CLANG NAMES clang-19 clang-14 clang REQUIRED DOC "clang that compiles the BPF programs")
find_program(BPFTOOL NAMES bpftool PATHS /usr/sbin REQUIRED)

set(BPF_FLAGS -target bpf -mcpu=v3 -O2 -g -std=gnu11 -Wall -Wextra -Werror
              -I${PROJECT_SOURCE_DIR}/bpf -I${PROJECT_SOURCE_DIR}/bpf/include
              -isystem /usr/include/${CMAKE_LIBRARY_ARCHITECTURE})

# bpf_object(NAME SOURCE): compiles SOURCE to NAME.bpf.o and makes the interface library NAME_skel, whose
# header is NAME.skel.h. Headers are tracked by the compiler's dependency file.
function(bpf_object name source)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
  set(skeleton ${CMAKE_CURRENT_BINARY_DIR}/skel/${name}.skel.h)
  add_custom_command(OUTPUT ${object}
    COMMAND ${BPF_CLANG} ${BPF_FLAGS} -MD -MF ${object}.d -MT ${object}
            -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
    DEPENDS ${source} DEPFILE ${object}.d VERBATIM COMMENT "BPF ${name}.bpf.o")
  add_custom_command(OUTPUT ${skeleton}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_CURRENT_BINARY_DIR}/skel
    COMMAND ${BPFTOOL} gen skeleton ${object} name ${name}_bpf > ${skeleton}
    DEPENDS ${object} VERBATIM COMMENT "skeleton ${name}.skel.h")
  add_custom_target(${name}_skel_header ALL DEPENDS ${skeleton})
  add_library(${name}_skel INTERFACE)
  add_dependencies(${name}_skel ${name}_skel_header)
  target_include_directories(${name}_skel SYSTEM INTERFACE ${CMAKE_CURRENT_BINARY_DIR}/skel)
endfunction()
