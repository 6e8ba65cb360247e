# Which files are compiled, and the few that have flags of their own. Files are found by folder, and a
# build notices new ones by itself.
set(cj_folders base tensor graph backend runtime nn data format train explain robust cluster text audio
               serve dist emit)
set(cj_patterns "")
foreach(folder IN LISTS cj_folders)
  list(APPEND cj_patterns ${CMAKE_CURRENT_SOURCE_DIR}/src/${folder}/*.c)
endforeach()
file(GLOB_RECURSE cj_sources CONFIGURE_DEPENDS ${cj_patterns})
file(GLOB cj_command_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/src/cli/*.c)
list(SORT cj_sources)
if(CJ_CORE)
  # Samples for the tests of operators: CJ__SAMPLE leaves them out. ONNX is its one format of models.
  list(FILTER cj_sources EXCLUDE REGEX "/graph/ops/(control|conv|recurrent)_sample\\.c$")
  list(FILTER cj_sources EXCLUDE REGEX "/src/format/(hdf5|keras)/")
endif()

# The CPU backend's inner kernels: the same source once for each instruction set, chosen at run time.
# They may contract. A file for another processor is left out.
set(cj_isa_avx512 -mavx512f -mavx512dq -mavx512bw -mavx512vl -mfma)
set(cj_isa_avx2 -mavx2 -mfma)
set(cj_isa_neon "")
set(cj_isa_generic "")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
  set(cj_isas avx512 avx2 generic)
  if(CJ_CORE) # a fifth of the library: small machines have no AVX-512
    list(REMOVE_ITEM cj_isas avx512)
  endif()
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64|ARM64)$")
  set(cj_isas neon generic)
else()
  set(cj_isas generic)
endif()
foreach(isa avx512 avx2 neon generic)
  set(file ${CMAKE_CURRENT_SOURCE_DIR}/src/backend/cpu/isa_${isa}.c)
  if(NOT isa IN_LIST cj_isas)
    list(REMOVE_ITEM cj_sources ${file})
  elseif(file IN_LIST cj_sources)
    # Kernels stay fast in test builds, where they are most of the time; sanitizers see what is written.
    set(optimize "")
    if(CJ_CORE AND isa STREQUAL "generic") # small: processors of today have another table
      set(optimize -Os)
    elseif(CJ_CORE)
      set(optimize -O2)
    elseif(NOT CJ_SANITIZE)
      set(optimize -O3)
    elseif(isa STREQUAL "generic" AND CMAKE_C_COMPILER_ID MATCHES "Clang")
      # clang needs minutes for it; gcc's sanitizers look at it, and these at the other tables.
      set(optimize -fno-sanitize=all)
    endif()
    set_source_files_properties(${file} PROPERTIES
      COMPILE_OPTIONS "${cj_isa_${isa}};-ffp-contract=fast;${optimize}")
  endif()
endforeach()

# Tile registers: files whose functions are called only where the processor has them.
include(CheckCCompilerFlag)
check_c_compiler_flag("-mamx-tile -mamx-bf16" CJ_COMPILES_AMX)
if(CJ_COMPILES_AMX AND "avx512" IN_LIST cj_isas)
  target_compile_definitions(cajal_flags INTERFACE CJ_HAVE_AMX)
  set(optimize "")
  if(NOT CJ_SANITIZE)
    set(optimize -O3)
  endif()
  set_source_files_properties(${CMAKE_CURRENT_SOURCE_DIR}/src/backend/amx/tiles.c
    ${CMAKE_CURRENT_SOURCE_DIR}/src/backend/amx/planes.c PROPERTIES
    COMPILE_OPTIONS "${cj_isa_avx512};-mamx-tile;-mamx-bf16;${optimize}")
endif()
