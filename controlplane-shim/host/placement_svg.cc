#include "controlplane-shim/host/placement_svg.hh"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "controlplane-shim/host/placement_words.hh"
#include "controlplane-shim/host/svg_box.hh"

namespace wye::host {
namespace {

using drivers::Machine;
using drivers::Plan;

constexpr double kMargin = 16, kLine = 17, kLeastWidth = 640;
constexpr std::size_t kCoresInARow = 6, kPackagesInARow = 2;
constexpr double kThreadWidth = 74;

// Dark text on pale fills, or the reverse: whatever the ground is. Roles are also written out.
constexpr const char* kStyle = R"(<style>
text{font:12px sans-serif;fill:#1c1c1c}
text.title{font-weight:bold;font-size:16px}
text.machine,text.fix{fill:#4a4a4a}
rect{stroke:#767676;fill:none}
rect.ground{fill:#ffffff;stroke:none}
rect.package{fill:#f5f5f5}
rect.node{fill:#ececec}
rect.cache{fill:#e2e2e2}
rect.core{fill:#f8f8f8}
rect.free{fill:#ffffff}
rect.worker{fill:#a6d0ef;stroke:#00507f}
rect.other{fill:#f7d99a;stroke:#8a5c00}
rect.forbidden{fill:#d0d0d0;stroke-dasharray:3 3}
rect.nic{fill:#aee3cf;stroke:#00634a}
rect.idle{fill:#ffffff;stroke:#00634a}
rect.far{fill:#f6c4ae;stroke:#a83f00;stroke-dasharray:6 3;stroke-width:2}
rect.isolated{stroke-width:3}
@media (prefers-color-scheme:dark){
text{fill:#f0f0f0}
text.machine,text.fix{fill:#c0c0c0}
rect{stroke:#9a9a9a}
rect.ground{fill:#161616}
rect.package{fill:#202020}
rect.node{fill:#292929}
rect.cache{fill:#333333}
rect.core{fill:#1d1d1d}
rect.free{fill:#161616}
rect.worker{fill:#0b4a70;stroke:#7cc4f2}
rect.other{fill:#6b4a08;stroke:#f2c45a}
rect.forbidden{fill:#454545}
rect.nic{fill:#0d5340;stroke:#62d9b2}
rect.idle{fill:#161616;stroke:#62d9b2}
rect.far{fill:#702c0a;stroke:#ff9b66}
}
</style>
)";

class Picture {
  public:
    Picture(const Machine& machine, const Plan& plan) : machine_(machine), plan_(plan) {}

    std::string draw() {
        SvgBox root;
        root.row = kPackagesInARow;
        for (const std::uint32_t package : machine_.packages) {
            root.inside.push_back(package_box(package));
        }
        auto lost = nics_where([](const auto& nic) { return nic.nodes.empty(); });
        const auto size = root.size();
        width_ = std::max(size.width, kLeastWidth);
        text("title", "wye: who sits where");
        root.draw(kMargin - 8, y_, size, body_);
        y_ += size.height + kLine;
        if (!lost.empty()) {
            SvgBox box{"node", {"NICs whose place the machine does not tell"}, std::move(lost), 3};
            const auto own = box.size();
            width_ = std::max(width_, own.width);
            box.draw(kMargin, y_, own, body_);
            y_ += own.height + kLine;
        }
        memory();
        legend();
        advice();
        return wrapped();
    }

  private:
    void text(std::string_view style, const std::string& words, double indent = 0) {
        y_ += kLine;
        body_ += fmt::format("<text class=\"{}\" x=\"{:.0f}\" y=\"{:.0f}\">{}</text>\n", style,
                             kMargin + indent, y_, xml_text(words));
        if (style == "title") y_ += 6;
    }

    /// Lines of the picture's width.
    void paragraph(std::string_view style, std::string words, double indent) {
        const auto most = static_cast<std::size_t>((width_ - indent) / text_width("x"));
        while (words.size() > most) {
            std::size_t cut = words.rfind(' ', most);
            if (cut == std::string::npos || cut == 0) cut = most;
            text(style, words.substr(0, cut), indent);
            words.erase(0, words[cut] == ' ' ? cut + 1 : cut);
        }
        text(style, words, indent);
    }

    [[nodiscard]] SvgBox thread_box(const Machine::Thread& thread) const {
        SvgBox box{"free", {fmt::format("CPU {}", thread.cpu)}, {}};
        box.least_width = kThreadWidth;
        const auto worker = std::ranges::find(plan_.workers, thread.cpu, &Plan::Worker::cpu);
        if (!thread.allowed) {
            box.style = "forbidden";
            box.words.emplace_back("not allowed");
        } else if (worker != plan_.workers.end()) {
            box.style = "worker";
            box.words.push_back(fmt::format("worker {}", worker - plan_.workers.begin()));
        }
        for (const auto& other : plan_.others) {
            if (other.cpu != thread.cpu) continue;
            box.style = "other";
            box.words.push_back(other.name);
        }
        if (box.words.size() == 1) box.words.emplace_back(" ");
        if (thread.isolated) box.style += " isolated";
        return box;
    }

    [[nodiscard]] SvgBox core_box(const Machine::Core& core) const {
        SvgBox box{"core", {}, {}, 1};  // hardware threads one above the other
        for (const std::size_t index : core.threads) {
            box.inside.push_back(thread_box(machine_.threads[index]));
        }
        return box;
    }

    /// A box for each last-level cache, or for all cores without one.
    [[nodiscard]] std::vector<SvgBox> cache_boxes(std::uint32_t package, std::uint32_t node) const {
        std::vector<SvgBox> boxes;
        std::vector<std::optional<std::size_t>> drawn;
        for (const auto& core : machine_.cores) {
            if (core.package != package || core.node != node) continue;
            auto known = std::ranges::find(drawn, core.cache);
            if (known == drawn.end()) {
                std::string words = "cores";
                if (core.cache) {
                    words = fmt::format("L3 {}, {} MiB", *core.cache,
                                        machine_.caches[*core.cache].bytes >> 20);
                }
                boxes.push_back({"cache", {words}, {}, kCoresInARow});
                known = drawn.insert(drawn.end(), core.cache);
            }
            boxes[static_cast<std::size_t>(known - drawn.begin())].inside.push_back(core_box(core));
        }
        return boxes;
    }

    template <class Wanted>
    [[nodiscard]] std::vector<SvgBox> nics_where(Wanted wanted) const {
        std::vector<SvgBox> boxes;
        for (const auto& nic : machine_.nics) {
            if (wanted(nic)) boxes.push_back(nic_box(nic));
        }
        return boxes;
    }

    [[nodiscard]] SvgBox nic_box(const Machine::Nic& nic) const {
        SvgBox box{"idle", {}, {}};
        const auto port = std::ranges::find(plan_.ports, nic.address, &Plan::Port::pci_address);
        std::string name = nic.address;
        if (!nic.interfaces.empty()) name += fmt::format(" {}", fmt::join(nic.interfaces, ", "));
        box.words.push_back("NIC " + name);
        if (port == plan_.ports.end()) {
            box.words.emplace_back("no port");
            return box;
        }
        box.style = "nic";
        std::size_t far = 0;
        for (const auto& worker : plan_.workers) {
            far +=
                std::ranges::find(worker.far_ports, port->name) != worker.far_ports.end() ? 1u : 0u;
        }
        box.words.push_back(fmt::format("port {}: {} queue{}", port->name, port->queues,
                                        port->queues == 1 ? "" : "s"));
        if (far > 0) {
            box.style = "far";
            box.words.push_back(
                fmt::format("far from {} of {} workers", far, plan_.workers.size()));
        }
        return box;
    }

    [[nodiscard]] SvgBox node_box(const Machine::Node& node) const {
        SvgBox box{"node", {}, cache_boxes(node.package, node.number), 1};
        std::string words =
            fmt::format("NUMA node {}, {} GiB", node.number, node.memory_bytes >> 30);
        if (node.huge_pages) words += fmt::format(", {} huge pages", *node.huge_pages);
        box.words.push_back(words);
        auto nics = nics_where([&](const auto& nic) {
            return nic.nodes.size() == 1 && nic.nodes.front() == node.number;
        });
        if (!nics.empty()) box.inside.push_back({"", {}, std::move(nics), 2});
        return box;
    }

    [[nodiscard]] SvgBox package_box(std::uint32_t package) const {
        SvgBox box{"package", {fmt::format("package {}", package)}, {}, 1};
        std::uint32_t first = 0;
        for (const auto& node : machine_.nodes) {
            if (node.package != package) continue;
            if (box.inside.empty()) first = node.number;
            box.inside.push_back(node_box(node));
        }
        // A NIC that is near several clusters of the package.
        auto nics = nics_where(
            [&](const auto& nic) { return nic.nodes.size() > 1 && nic.nodes.front() == first; });
        if (!nics.empty()) box.inside.push_back({"", {}, std::move(nics), 2});
        return box;
    }

    void memory() {
        for (const auto& node : plan_.memory) {
            std::string words = fmt::format("Memory of node {}: ", node.node);
            words += node.buffers == 0
                         ? "no packet buffers"
                         : fmt::format("{} packet buffers in {} MiB", node.buffers, node.megabytes);
            if (node.buffer_pages > 0) {
                words += fmt::format(", {} huge pages of 2 MiB", node.buffer_pages);
            }
            if (node.table_pages > 0) {
                words += fmt::format(", and {} for full tables", node.table_pages);
            }
            paragraph("machine", words, 0);
        }
        y_ += 10;
    }

    void legend() {
        static constexpr std::pair<const char*, const char*> kEntries[] = {
            {"worker", "worker"},
            {"other", "another thread of the router"},
            {"free", "free"},
            {"free isolated", "isolated (thick)"},
            {"forbidden", "not allowed"},
            {"nic", "NIC of a port"},
            {"far", "NIC far from workers"},
            {"idle", "NIC without a port"},
        };
        double x = kMargin;
        y_ += 8;
        for (const auto& [style, words] : kEntries) {
            const double needed = 30 + text_width(words);
            if (x + needed > kMargin + width_) {
                x = kMargin;
                y_ += 22;
            }
            body_ += fmt::format(
                "<rect class=\"{}\" x=\"{:.0f}\" y=\"{:.0f}\" width=\"18\" height=\"14\" "
                "rx=\"3\"/>\n<text x=\"{:.0f}\" y=\"{:.0f}\">{}</text>\n",
                style, x, y_, x + 24, y_ + 11, words);
            x += needed + 14;
        }
        y_ += 26;
    }

    void advice() {
        if (plan_.advice.empty()) {
            text("", "Nothing to improve.");
            return;
        }
        for (const auto& one : plan_.advice) {
            paragraph("", fmt::format("{}: {}", severity_name(one.severity), one.text), 0);
            paragraph("fix", "fix: " + one.fix, 16);
        }
    }

    [[nodiscard]] std::string wrapped() const {
        const double width = width_ + 2 * kMargin, height = y_ + kMargin;
        return fmt::format(
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
                   "viewBox=\"0 0 {0:.0f} {1:.0f}\">\n<title>wye: who sits where</title>\n",
                   width, height) +
               kStyle +
               fmt::format("<rect class=\"ground\" width=\"{:.0f}\" height=\"{:.0f}\"/>\n", width,
                           height) +
               body_ + "</svg>\n";
    }

    const Machine& machine_;
    const Plan& plan_;
    std::string body_;
    double y_ = 4, width_ = 0;
};

}  // namespace

std::string placement_svg(const Machine& machine, const Plan& plan) {
    return Picture(machine, plan).draw();
}

}  // namespace wye::host
