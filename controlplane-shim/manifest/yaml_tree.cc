#include "controlplane-shim/manifest/yaml_tree.hh"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <istream>
#include <streambuf>
#include <utility>

namespace wye::manifest {
namespace {

constexpr std::size_t kDeepest = 32;

int line_of(const YAML::Mark& mark) noexcept {
    return mark.line < 0 ? 1 : mark.line + 1;
}

class TreeBuilder final : public YAML::EventHandler {
  public:
    explicit TreeBuilder(Problems& problems) : problems_(problems) {}

    void OnDocumentStart(const YAML::Mark&) override {}
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
        deliver({Node::Kind::empty, line_of(mark), {}, {}, {}});
    }
    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
        problems_.add(line_of(mark), "",
                      "aliases (*name) are not used in manifests: write the value out");
        deliver({Node::Kind::refused, line_of(mark), {}, {}, {}});
    }
    void OnAnchor(const YAML::Mark& mark, const std::string& name) override {
        problems_.add(line_of(mark), "",
                      "anchors (&" + name + ") are not used in manifests: remove it");
    }
    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  const std::string& value) override {
        refuse_tag(mark, tag);
        deliver({Node::Kind::scalar, line_of(mark), value, {}, {}});
    }
    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {
        begin(Node::Kind::sequence, mark, tag);
    }
    void OnSequenceEnd() override { end(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {
        begin(Node::Kind::mapping, mark, tag);
    }
    void OnMapEnd() override { end(); }

    Node take_root() { return std::move(root_); }

  private:
    /// "?" and "!" are what yaml-cpp reports for plain and quoted text without a tag.
    void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
        if (tag.empty() || tag == "?" || tag == "!") return;
        problems_.add(line_of(mark), "", "tags (" + tag + ") are not used in manifests: remove it");
    }
    void begin(Node::Kind kind, const YAML::Mark& mark, const std::string& tag) {
        refuse_tag(mark, tag);
        if (open_.size() >= kDeepest) throw YAML::ParserException(mark, "nested too deeply");
        open_.push_back({kind, line_of(mark), {}, {}, {}});
    }
    void end() {
        Node done = std::move(open_.back());
        open_.pop_back();
        deliver(std::move(done));
    }
    void deliver(Node&& node) {
        if (open_.empty()) {
            root_ = std::move(node);
            return;
        }
        Node& parent = open_.back();
        const bool is_key =
            parent.kind == Node::Kind::mapping && parent.keys.size() == parent.values.size();
        // The parser places an absent value at whatever comes next.
        if (!is_key && node.kind == Node::Kind::empty && parent.kind == Node::Kind::mapping) {
            node.line = parent.keys.back().line;
        }
        (is_key ? parent.keys : parent.values).push_back(std::move(node));
    }

    Problems& problems_;
    std::vector<Node> open_;
    Node root_;
};

/// A stream over text that is not copied.
class ViewBuffer final : public std::streambuf {
  public:
    explicit ViewBuffer(std::string_view text) {
        char* begin = const_cast<char*>(text.data());
        setg(begin, begin, begin + text.size());
    }
};

}  // namespace

std::optional<Node> parse_yaml(std::string_view text, Problems& problems) {
    ViewBuffer buffer(text);
    std::istream stream(&buffer);
    TreeBuilder builder(problems);
    try {
        YAML::Parser parser(stream);
        if (!parser.HandleNextDocument(builder)) {
            problems.add(0, "", "the manifest is empty: begin it with apiVersion: wye/v1");
            return std::nullopt;
        }
        Node root = builder.take_root();
        TreeBuilder second(problems);
        if (parser.HandleNextDocument(second)) {
            problems.add(second.take_root().line, "",
                         "a second YAML document: put everything into one");
            return std::nullopt;
        }
        return root;
    } catch (const YAML::Exception& error) {
        problems.add(line_of(error.mark), "", "is no YAML: " + error.msg);
        return std::nullopt;
    }
}

}  // namespace wye::manifest
