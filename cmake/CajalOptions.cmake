# Options, compiler flags, optional libraries. Everything our own files are compiled with hangs on the
# interface target cajal_flags; what the finished libraries link with is the list cj_link, and the same
# in pkg-config's words cj_link_flags.

# ---- Options -------------------------------------------------------------------------------------
option(CJ_CORE "Portable kernels only: libc, libm and threads, one static library, a static command" OFF)
option(CJ_OPENMP "Thread team from OpenMP; OFF is our own pthread pool" ON)
option(CJ_TESTS "Build the tests (needs cmocka)" OFF)
option(CJ_EXAMPLES "Build the programs under examples/; tests build them always" OFF)
option(CJ_BENCH "Build the programs under bench/" OFF)
option(CJ_FUZZ "Build the fuzz targets for libFuzzer (needs clang)" OFF)
option(CJ_WERROR "Warnings are errors" OFF) # not with -Og or gcc's sanitizers: false ones
option(CJ_INSTALL "Make the install rules" ${PROJECT_IS_TOP_LEVEL})
option(CJ_SHARED "Build the shared library as well" ON)
set(CJ_SANITIZE "" CACHE STRING "Sanitizers: address,undefined or thread")
set(CJ_ASSERTS "AUTO" CACHE STRING "CJ_ASSERT finds our own bugs: AUTO is ON but in release builds")
set_property(CACHE CJ_ASSERTS PROPERTY STRINGS AUTO ON OFF)
set(cj_summary "")

if(CJ_CORE)
  set(CJ_OPENMP OFF)
  set(CJ_SHARED OFF)
endif()
if(CJ_SANITIZE MATCHES "thread")
  set(CJ_OPENMP OFF) # libgomp is not instrumented and gives false reports
endif()
if(CJ_ASSERTS STREQUAL "AUTO")
  set(cj_asserts ON)
  if(CMAKE_BUILD_TYPE MATCHES "^(Release|MinSizeRel)$")
    set(cj_asserts OFF)
  endif()
else()
  set(cj_asserts ${CJ_ASSERTS})
endif()

# ---- Flags ---------------------------------------------------------------------------------------
# No contraction into fused multiply-adds but in the ISA files: the same bits from every compiler. The
# library never reads errno of libm nor floating-point traps, so vectorising may ignore both.
add_library(cajal_flags INTERFACE)
target_compile_features(cajal_flags INTERFACE c_std_11)
set(CMAKE_C_EXTENSIONS OFF)
target_include_directories(cajal_flags INTERFACE ${CMAKE_CURRENT_SOURCE_DIR}/include ${CMAKE_CURRENT_SOURCE_DIR}/src)
target_compile_options(cajal_flags INTERFACE
  -ffp-contract=off -fno-math-errno -fno-trapping-math
  -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wvla $<$<BOOL:${CJ_WERROR}>:-Werror>)
target_compile_definitions(cajal_flags INTERFACE
  $<$<BOOL:${cj_asserts}>:CJ_ASSERTS> $<$<BOOL:${CJ_CORE}>:CJ_CORE>)
if(CJ_CORE)
  # No tables for unwinding: they are a tenth of the library, and nothing here throws.
  target_compile_options(cajal_flags INTERFACE -ffunction-sections -fdata-sections
    -fno-asynchronous-unwind-tables -fno-unwind-tables)
  if(NOT APPLE)
    target_link_options(cajal_flags INTERFACE -Wl,--gc-sections)
  endif()
endif()
if(CJ_SANITIZE)
  add_compile_options(-fsanitize=${CJ_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${CJ_SANITIZE})
endif()

# ---- Libraries -----------------------------------------------------------------------------------
# libm and threads always. An optional library adds its define and its link name. The installed package
# says plain -lNAME, so it can be moved and a project without C enabled can still use it.
set(cj_link m pthread)
set(cj_link_flags "-lm -pthread")

# cj_library(<OPTION> <header> <library> <debian package> <what is lost without it>): CJ_<OPTION> is AUTO
# (use it when it is there), ON (fail when it is not) or OFF. Found: CJ_HAVE_<OPTION> is defined.
function(cj_library name header library package lost)
  set(CJ_${name} "AUTO" CACHE STRING "Use ${library}: AUTO, ON or OFF")
  set_property(CACHE CJ_${name} PROPERTY STRINGS AUTO ON OFF)
  if(CJ_CORE)
    set(state "no (core build)")
  elseif(NOT CJ_${name})
    set(state "no (CJ_${name}=OFF): ${lost}")
  else()
    find_path(CJ_${name}_INCLUDE ${header})
    find_library(CJ_${name}_LIBRARY ${library})
    mark_as_advanced(CJ_${name}_INCLUDE CJ_${name}_LIBRARY)
    if(CJ_${name}_INCLUDE AND CJ_${name}_LIBRARY)
      set(state "yes")
      target_compile_definitions(cajal_flags INTERFACE CJ_HAVE_${name})
      target_include_directories(cajal_flags SYSTEM INTERFACE ${CJ_${name}_INCLUDE})
      list(APPEND cj_link $<BUILD_INTERFACE:${CJ_${name}_LIBRARY}> $<INSTALL_INTERFACE:${library}>)
      set(cj_link ${cj_link} PARENT_SCOPE)
      set(cj_link_flags "${cj_link_flags} -l${library}" PARENT_SCOPE)
    elseif(CJ_${name} STREQUAL "AUTO")
      set(state "not found (Debian: ${package}): ${lost}")
    else()
      message(FATAL_ERROR "CJ_${name}=ON, but ${header} or lib${library} was not found. "
                          "Install it (Debian: ${package}) or configure with -DCJ_${name}=OFF (${lost}).")
    endif()
  endif()
  set(cj_summary ${cj_summary} "${library}|${state}" PARENT_SCOPE)
endfunction()

cj_library(ZLIB zlib.h z zlib1g-dev "no .gz data sets, no compressed .npz")
cj_library(YAML yaml.h yaml libyaml-dev "no recipe files, but key=value on the command line works")
cj_library(PNG png.h png libpng-dev "no PNG pictures")
cj_library(JPEG jpeglib.h jpeg libjpeg62-turbo-dev "no JPEG pictures")

set(cj_threads "our pthread pool")
if(CJ_OPENMP)
  find_package(OpenMP COMPONENTS C QUIET)
  if(OpenMP_C_FOUND)
    list(GET OpenMP_C_LIB_NAMES 0 cj_openmp) # gomp, or omp with clang
    separate_arguments(cj_openmp_flags UNIX_COMMAND "${OpenMP_C_FLAGS}")
    target_compile_options(cajal_flags INTERFACE ${cj_openmp_flags})
    list(APPEND cj_link $<BUILD_INTERFACE:${OpenMP_${cj_openmp}_LIBRARY}> $<INSTALL_INTERFACE:${cj_openmp}>)
    string(APPEND cj_link_flags " -l${cj_openmp}")
    set(cj_threads "OpenMP (lib${cj_openmp})")
  else()
    set(cj_threads "our pthread pool (no OpenMP for this compiler)")
  endif()
endif()
if(NOT OpenMP_C_FOUND OR NOT CJ_OPENMP)
  target_compile_definitions(cajal_flags INTERFACE CJ_POOL_PTHREAD)
endif()

# oneDNN's own threads are OpenMP's, which ThreadSanitizer does not understand. Where our team is none of
# OpenMP's, oneDNN must still be told to stay on one thread, by a function of the library it runs on.
if(CJ_SANITIZE MATCHES "thread")
  set(CJ_DNNL OFF)
endif()
cj_library(DNNL oneapi/dnnl/dnnl.h dnnl libdnnl-dev "convolutions and products by our own kernels")
if(CJ_DNNL_LIBRARY AND CJ_DNNL AND NOT CJ_CORE AND (NOT OpenMP_C_FOUND OR NOT CJ_OPENMP))
  find_library(CJ_DNNL_OPENMP NAMES gomp libgomp.so.1 omp)
  mark_as_advanced(CJ_DNNL_OPENMP)
  if(NOT CJ_DNNL_OPENMP)
    message(FATAL_ERROR "oneDNN was found, but not the OpenMP library it runs on: configure with -DCJ_DNNL=OFF.")
  endif()
  list(APPEND cj_link $<BUILD_INTERFACE:${CJ_DNNL_OPENMP}> $<INSTALL_INTERFACE:${CJ_DNNL_OPENMP}>)
  string(APPEND cj_link_flags " ${CJ_DNNL_OPENMP}")
endif()

# "key|value" lines; a value holds no semicolon.
function(cj_print_summary)
  message(STATUS "cajal ${PROJECT_VERSION}: ${CMAKE_BUILD_TYPE}, ${CMAKE_C_COMPILER_ID} "
                 "${CMAKE_C_COMPILER_VERSION}, ${CMAKE_SYSTEM_PROCESSOR}")
  foreach(line IN ITEMS "threads|${cj_threads}" ${cj_summary} "asserts|${cj_asserts}"
                        "sanitizers|${CJ_SANITIZE}" "tests|${CJ_TESTS}")
    string(REGEX REPLACE "\\|.*" "" key "${line}")
    string(REGEX REPLACE "^[^|]*\\|" "" value "${line}")
    string(SUBSTRING "${key}            " 0 12 key)
    message(STATUS "  ${key}${value}")
  endforeach()
endfunction()
