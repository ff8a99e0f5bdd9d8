// The real wyectl, over the real socket, to a service with fixed rows.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>

#include "controlplane-shim/api/columns.hh"
#include "tests/unit/api/fake_service.hh"

namespace wye::api {
namespace {

using nlohmann::json;

struct Outcome {
    int code;
    std::string out, error;
};

std::string read_file(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

class Wyectl : public testing::Test {
  protected:
    /// Runs `wyectl WORDS` by the shell, with the instances of the served directory.
    Outcome run(const std::string& words, const std::string& environment = "") {
        const std::string error_file = served_.run_dir + "/stderr";
        const std::string command = "env -u WYE_INSTANCE WYE_RUN_DIR=" + served_.run_dir + " " +
                                    environment + " " WYE_WYECTL " " + words + " 2>" + error_file;
        FILE* pipe = popen(command.c_str(), "r");
        EXPECT_NE(pipe, nullptr);
        Outcome outcome;
        std::array<char, 4096> chunk;
        while (const std::size_t n = fread(chunk.data(), 1, chunk.size(), pipe)) {
            outcome.out.append(chunk.data(), n);
        }
        outcome.code = WEXITSTATUS(pclose(pipe));
        outcome.error = read_file(error_file);
        return outcome;
    }
    FakeService service_;
    Served served_{service_};
};

TEST_F(Wyectl, PrintsAlignedTablesWithoutEmptyColumns) {
    service_.rows["routes"] = json::array(
        {{{"vrf", "red"}, {"prefix", "10.0.0.0/8"}, {"metric", 5}, {"nexthop", "10.1.0.2"}},
         {{"vrf", "underlay"}, {"prefix", "::/0"}, {"metric", 20000}, {"nexthop", "dir\033ect"}},
         {{"vrf", "blau-ü"}, {"prefix", "10.2.0.0/16"}, {"metric", nullptr}, {"nexthop", "x"}}});
    const Outcome shown = run("show routes --vrf red --match 10.1.2.3");
    EXPECT_EQ(shown.out,
              "VRF       PREFIX       METRIC  NEXT HOP\n"
              "red       10.0.0.0/8        5  10.1.0.2\n"
              "underlay  ::/0          20000  dir?ect\n"
              "blau-ü    10.2.0.0/16       -  x\n");
    EXPECT_EQ(shown.error, "");
    EXPECT_EQ(shown.code, 0);
    EXPECT_EQ(service_.shown_filter, json({{"vrf", "red"}, {"match", "10.1.2.3"}}));
}

TEST_F(Wyectl, PrintsCountersByScope) {
    service_.rows["counters"] = json::array(
        {{{"scope", "port"}, {"name", "c4"}, {"rx", 12}, {"tx", 7}, {"balance", 0}},
         {{"scope", "acl"}, {"name", "guard"}, {"rule", 0}, {"packets", 3}, {"bytes", 180}},
         {{"scope", "acl"}, {"name", "guard"}, {"rule", "default"}, {"packets", 0}, {"bytes", 0}},
         {{"scope", "worker"}, {"name", "0"}, {"rx", 12}}});
    EXPECT_EQ(run("show counters --nonzero").out,
              "WORKER  RX packets\n"
              "0               12\n"
              "\n"
              "PORT  RX packets  TX packets  BALANCE\n"
              "c4            12           7        0\n"
              "\n"
              "ACL       RULE  HITS packets  HITS bytes\n"
              "guard        0             3         180\n"
              "guard  default             0           0\n");
    EXPECT_EQ(service_.shown_filter, json({{"nonzero", true}}));
    service_.rows["workers"] = json::array({{{"worker", 0}, {"busy_percent", 12.345}}});
    EXPECT_EQ(run("show workers").out, "WORKER  BUSY %\n     0    12.3\n");
}

TEST_F(Wyectl, PrintsJsonAsTheShimGaveIt) {
    for (const Show& show : shows()) {
        if (show.what == "rings") continue;  // the fake one fails
        service_.rows[std::string(show.what)] = json::array({{{"vrf", "red"}, {"n", 1}}});
        const Outcome shown = run("show " + std::string(show.what) + " --json");
        EXPECT_EQ(shown.code, 0) << show.what << shown.error;
        EXPECT_EQ(json::parse(shown.out), service_.rows[std::string(show.what)]);
        EXPECT_EQ(service_.shown_what, show.what);
    }
}

TEST_F(Wyectl, SaysThatThereIsNothing) {
    EXPECT_EQ(run("show neighbours").out, "no neighbours\n");
}

TEST_F(Wyectl, AppliesAFileOrTheStandardInput) {
    service_.changes = json::array({{{"change", "added"}, {"kind", "vport"}, {"name", "red-site"}},
                                    {{"change", "removed"}, {"kind", "acl"}, {"name", "guard"}}});
    const std::string file = served_.run_dir + "/m.yaml";
    std::ofstream(file) << "apiVersion: wye/v1\n";
    const Outcome applied = run("apply -f " + file);
    EXPECT_EQ(applied.out, "added vport red-site\nremoved acl guard\n2 changes\n");
    EXPECT_EQ(applied.code, 0);
    EXPECT_EQ(service_.applied_file, file);
    EXPECT_EQ(service_.applied_text, "apiVersion: wye/v1\n");
    service_.changes = json::array();
    EXPECT_EQ(run("apply --file - < " + file).out, "nothing to change\n");
    EXPECT_EQ(service_.applied_file, "standard input");
    EXPECT_EQ(run("apply --json -f " + file).out, "[]\n");
}

TEST_F(Wyectl, PrintsRefusalsOneALineAndExitsWithOne) {
    const std::string file = served_.run_dir + "/bad.yaml";
    std::ofstream(file) << "bad\n";
    const Outcome refused = run("apply -f " + file);
    EXPECT_EQ(refused.code, 1);
    EXPECT_EQ(refused.out, "");
    EXPECT_EQ(refused.error, file + ":3: tenants[0]: first\n" + file + ":4: second\n");
    EXPECT_EQ(run("show rings").code, 1);
}

TEST_F(Wyectl, WrongUsageExitsWithTwo) {
    for (const char* words :
         {"", "show", "show cats", "apply", "show workers --vrf red", "show routes --match 10.0.0",
          "show routes --prefix 10.0.0.1/8", "--socket a --instance b show drops",
          "--instance a/b show drops", "apply -f /nonexistent"}) {
        const Outcome outcome = run(words);
        EXPECT_EQ(outcome.code, 2) << words;
        EXPECT_EQ(outcome.out, "") << words;
        EXPECT_EQ(std::ranges::count(outcome.error, '\n'), 1) << outcome.error;
    }
    EXPECT_NE(run("apply -f /nonexistent").error.find("No such file"), std::string::npos);
    EXPECT_NE(run("apply -f /").error.find("cannot read /"), std::string::npos);
}

TEST_F(Wyectl, FindsTheInstance) {
    EXPECT_EQ(run("--instance one show drops").code, 0);
    EXPECT_EQ(run("show drops --instance one").code, 0);
    EXPECT_EQ(run("show drops", "WYE_INSTANCE=one").code, 0);
    EXPECT_EQ(run("--socket " + served_.path + " show drops").code, 0);
    EXPECT_EQ(run("show drops --socket " + served_.path, "WYE_INSTANCE=other").code, 0);
    const Outcome other = run("--instance other show drops");
    EXPECT_EQ(other.code, 3);
    EXPECT_NE(other.error.find("no shim answers on"), std::string::npos) << other.error;
    EXPECT_EQ(run("show drops", "WYE_RUN_DIR=/nonexistent").code, 3);

    std::filesystem::create_directory(served_.run_dir + "/dead");
    EXPECT_EQ(run("show drops").code, 0) << "one that does not answer is no choice";
    FakeService second_service;
    std::filesystem::create_directory(served_.run_dir + "/two");
    const Served second(second_service);
    std::filesystem::create_symlink(second.path, served_.run_dir + "/two/shim.sock");
    const Outcome several = run("show drops");
    EXPECT_EQ(several.code, 2);
    EXPECT_NE(several.error.find("several instances run (one, two)"), std::string::npos);
}

TEST_F(Wyectl, HelpIsEverywhere) {
    for (const std::string words : {"--help", "apply --help", "show --help", "--version"}) {
        const Outcome help = run(words);
        EXPECT_EQ(help.code, 0) << words;
        EXPECT_FALSE(help.out.empty()) << words;
    }
    const std::string page = read_file(WYE_SOURCE_ROOT "/docs/man/wyectl.1");
    for (const Show& show : shows()) {
        const std::string what(show.what);
        const Outcome help = run("show " + what + " --help");
        EXPECT_EQ(help.code, 0) << what;
        for (const auto filter : show.filters) {
            EXPECT_NE(help.out.find("--" + std::string(filter)), std::string::npos) << what;
        }
        EXPECT_NE(page.find("\n.B show " + what + "\n"), std::string::npos) << what;
    }
}

TEST_F(Wyectl, CompletionOffersWhatWyectlTakes) {
    const auto complete = [](const std::string& words) {
        const std::string command =
            "bash -c 'source " WYE_SOURCE_ROOT "/conf/completion/wyectl.bash; COMP_WORDS=(" +
            words +
            " \"\"); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _wyectl; echo \"${COMPREPLY[@]}\"'";
        FILE* pipe = popen(command.c_str(), "r");
        std::string out;
        for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) out += static_cast<char>(c);
        pclose(pipe);
        return " " + out.substr(0, out.size() - 1) + " ";
    };
    std::string all = " ";
    for (const Show& show : shows()) {
        all += std::string(show.what) + " ";
        std::string filters = " ";
        for (const auto filter : show.filters) filters += "--" + std::string(filter) + " ";
        EXPECT_EQ(complete("wyectl show " + std::string(show.what)), filters + "--json --help ");
    }
    EXPECT_EQ(complete("wyectl show"), all + "--help ");
    EXPECT_EQ(complete("wyectl --socket x"),
              " apply show worker host --socket --instance --help --version ");
    EXPECT_EQ(complete("wyectl worker"), " add move remove place rebalance --help ");
    EXPECT_EQ(complete("wyectl apply"), " --file --json --help ");
}

}  // namespace
}  // namespace wye::api
