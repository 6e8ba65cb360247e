# make install: headers, libraries, command, man pages, pkg-config file, CMake package. The pkg-config
# file finds its prefix from where it lies, so an installed tree can be moved and DESTDIR is honoured.
include(CMakePackageConfigHelpers)

install(TARGETS ${cj_libraries} EXPORT cajal-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET cajal)
  install(TARGETS cajal RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY include/cajal DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
file(GLOB cj_man CONFIGURE_DEPENDS docs/man/*.1)
install(FILES ${cj_man} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/cajal)
install(EXPORT cajal-targets NAMESPACE cajal:: DESTINATION ${package})
configure_package_config_file(cmake/cajal-config.cmake.in cajal-config.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(cajal-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/cajal-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/cajal-config-version.cmake
        DESTINATION ${package})

if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(cj_pc_prefix ${CMAKE_INSTALL_PREFIX})
else()
  file(RELATIVE_PATH cj_pc_up /root/${CMAKE_INSTALL_LIBDIR}/pkgconfig /root)
  string(REGEX REPLACE "/$" "" cj_pc_up "${cj_pc_up}")
  set(cj_pc_prefix "\${pcfiledir}/${cj_pc_up}")
endif()
cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_LIBDIR BASE_DIRECTORY "/prefix" OUTPUT_VARIABLE cj_pc_libdir)
cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_INCLUDEDIR BASE_DIRECTORY "/prefix" OUTPUT_VARIABLE cj_pc_includedir)
string(REGEX REPLACE "^/prefix" "\${prefix}" cj_pc_libdir "${cj_pc_libdir}")
string(REGEX REPLACE "^/prefix" "\${prefix}" cj_pc_includedir "${cj_pc_includedir}")
# Without a shared library, what it would have brought is needed by every link.
set(cj_pc_libs "-lcajal")
if(NOT CJ_SHARED)
  set(cj_pc_libs "-lcajal ${cj_link_flags}")
endif()
configure_file(cmake/cajal.pc.in cajal.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/cajal.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
