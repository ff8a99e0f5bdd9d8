// A valid manifest for the tests to spoil, and how they look at what comes of it.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "controlplane-shim/manifest/manifest.hh"

namespace wye::manifest {

// The numbers of its lines are what the tests expect.
constexpr std::string_view kSample =
    "apiVersion: wye/v1\n"                                                                     // 1
    "underlay:\n"                                                                              // 2
    "  vports:\n"                                                                              // 3
    "    - {name: carrier, port: c4, mac: 02:00:00:00:04:01, mtu: 1600}\n"                     // 4
    "tenants:\n"                                                                               // 5
    "  - name: red\n"                                                                          // 6
    "    quotas: {routes: 100, vports: 2, acl_rules: 3}\n"                                     // 7
    "    vrfs:\n"                                                                              // 8
    "      - {name: red, vni: 100, netns: red}\n"                                              // 9
    "    tunnels:\n"                                                                           // 10
    "      - name: red-b\n"                                                                    // 11
    "        kind: vxlan\n"                                                                    // 12
    "        local: 192.0.2.1\n"                                                               // 13
    "        remote: 192.0.2.2\n"                                                              // 14
    "        vni: 100\n"                                                                       // 15
    "    vports:\n"                                                                            // 16
    "      - name: red-site\n"                                                                 // 17
    "        vrf: red\n"                                                                       // 18
    "        port: access\n"                                                                   // 19
    "        vlan: 10\n"                                                                       // 20
    "        mac: 02:00:00:00:10:01\n"                                                         // 21
    "        ingress_acl: guard\n"                                                             // 22
    "        addresses: [10.1.0.1/24]\n"                                                       // 23
    "      - name: red-pop-b\n"                                                                // 24
    "        vrf: red\n"                                                                       // 25
    "        tunnel: red-b\n"                                                                  // 26
    "        mac: 02:00:00:00:10:ff\n"                                                         // 27
    "    acls:\n"                                                                              // 28
    "      - name: guard\n"                                                                    // 29
    "        default: permit\n"                                                                // 30
    "        rules:\n"                                                                         // 31
    "          - {action: deny, protocol: tcp, destination: 10.0.0.0/8}\n"                     // 32
    "  - name: blue\n"                                                                         // 33
    "    vrfs:\n"                                                                              // 34
    "      - {name: blue, vni: 200, device: vrf-blue}\n"                                       // 35
    "    tunnels:\n"                                                                           // 36
    "      - {name: blue-b, kind: geneve, local: 2001:db8::1, remote: 2001:db8::2, vni: 1}\n"  // 37
    "    vports:\n"                                                                            // 38
    "      - name: blue-site\n"                                                                // 39
    "        vrf: blue\n"                                                                      // 40
    "        port: access\n"                                                                   // 41
    "        vlan: 20\n"                                                                       // 42
    "        mac: 02:00:00:00:20:01\n"                                                         // 43
    "        egress_acl: wall\n"                                                               // 44
    "    acls:\n"                                                                              // 45
    "      - {name: wall, default: deny, rules: []}\n";                                        // 46

/// The sample with one passage replaced; the passage must occur, the first one is taken.
inline std::string sample_with(std::string_view passage, std::string_view replacement) {
    std::string text(kSample);
    const auto at = text.find(passage);
    EXPECT_NE(at, std::string::npos) << passage;
    return text.replace(at, passage.size(), replacement);
}

/// Exactly one problem, at that line and path, with these words in it.
inline void expect_only(const std::string& yaml, int line, std::string_view path,
                        std::string_view words) {
    const Loaded loaded = load_manifest(yaml, "m.yaml");
    EXPECT_FALSE(loaded.manifest) << words;
    ASSERT_EQ(loaded.problems.size(), 1u)
        << words << (loaded.problems.empty() ? "" : "; first: " + loaded.problems[0].to_string())
        << (loaded.problems.size() < 2 ? "" : "; then: " + loaded.problems[1].to_string());
    const Problem& problem = loaded.problems[0];
    EXPECT_EQ(problem.file, "m.yaml");
    EXPECT_EQ(problem.line, line) << problem.to_string();
    EXPECT_EQ(problem.path, path) << problem.to_string();
    EXPECT_NE(problem.text.find(words), std::string::npos) << problem.to_string();
}

}  // namespace wye::manifest
