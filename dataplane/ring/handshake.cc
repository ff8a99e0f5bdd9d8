#include "dataplane/ring/handshake.hh"

#include <unistd.h>

#include <algorithm>
#include <optional>

#include "dataplane/ring/lease.hh"

namespace wye::ring {
namespace {

std::optional<std::size_t> size_of(MessageKind kind) noexcept {
    switch (kind) {
        case MessageKind::hello:
            return sizeof(Hello);
        case MessageKind::welcome:
            return sizeof(Welcome);
        case MessageKind::refusal:
            return sizeof(Refusal);
        case MessageKind::twin:
            return sizeof(TwinMessage);
        case MessageKind::twins_end:
            return sizeof(TwinsEnd);
        case MessageKind::lease_request:
            return sizeof(LeaseRequest);
        case MessageKind::lease_grant:
            return sizeof(LeaseGrant);
        case MessageKind::lease_release:
            return sizeof(LeaseRelease);
        case MessageKind::lease_released:
            return sizeof(LeaseReleased);
        case MessageKind::variants:
            return sizeof(VariantsMessage);
        case MessageKind::admission:
            return sizeof(AdmissionMessage);
        case MessageKind::port:
            return sizeof(PortMessage);
    }
    return std::nullopt;
}

std::string range_text(std::uint16_t oldest, std::uint16_t newest) {
    if (oldest == newest) return std::to_string(oldest);
    return std::to_string(oldest) + " to " + std::to_string(newest);
}

}  // namespace

std::string_view to_string(MessageKind kind) noexcept {
    switch (kind) {
        case MessageKind::hello:
            return "hello";
        case MessageKind::welcome:
            return "welcome";
        case MessageKind::refusal:
            return "refusal";
        case MessageKind::twin:
            return "twin";
        case MessageKind::twins_end:
            return "twins_end";
        case MessageKind::lease_request:
            return "lease_request";
        case MessageKind::lease_grant:
            return "lease_grant";
        case MessageKind::lease_release:
            return "lease_release";
        case MessageKind::lease_released:
            return "lease_released";
        case MessageKind::variants:
            return "variants";
        case MessageKind::admission:
            return "admission";
        case MessageKind::port:
            return "port";
    }
    return "unknown";
}

Result<MessageKind> kind_of(std::span<const std::byte> message) {
    const std::string got = std::to_string(message.size()) + " bytes";
    MessageHeader header{};
    if (message.size() < sizeof header) {
        return fail("handshake message of " + got + " is shorter than its header");
    }
    std::memcpy(&header, message.data(), sizeof header);
    if (header.magic != kHandshakeMagic) {
        return fail("handshake message does not begin with wye's magic: the other side is no wye");
    }
    const auto expected = size_of(header.kind);
    if (!expected) {
        return fail("handshake message of unknown kind " +
                    std::to_string(static_cast<unsigned>(header.kind)));
    }
    const std::string name(to_string(header.kind));
    if (header.size != *expected) {
        return fail("handshake message " + name + " says that it has " +
                    std::to_string(header.size) + " bytes, this side knows it with " +
                    std::to_string(*expected) + ": restart both with the same build");
    }
    if (message.size() != *expected) {
        return fail("handshake message " + name + " is " + got + " long instead of " +
                    std::to_string(*expected));
    }
    return header.kind;
}

std::string words_of(std::span<const char> text) {
    std::string words(text.begin(), std::find(text.begin(), text.end(), '\0'));
    for (char& c : words) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) c = '?';
    }
    return words;
}

std::string words_of(const Refusal& refusal) {
    std::string words = words_of(std::span(refusal.text));
    return words.empty() ? "refused without a reason" : words;
}

void set_words(std::span<char> text, std::string_view words) noexcept {
    const std::size_t length = std::min(words.size(), text.size() - 1);
    std::fill(std::copy_n(words.begin(), length, text.begin()), text.end(), '\0');
}

bool read_announcement(MessageKind kind, std::span<const std::byte> message, Announced& announced) {
    if (kind == MessageKind::variants) {
        const auto told = *decode<VariantsMessage>(message);
        announced.fib4 = told.fib4;
        announced.fib6 = told.fib6;
        announced.acl = told.acl;
    } else if (kind == MessageKind::admission) {
        announced.admission = decode<AdmissionMessage>(message)->variant;
    } else if (kind == MessageKind::port) {
        announced.ports.push_back(*decode<PortMessage>(message));
    } else {
        return false;
    }
    return true;
}

Result<std::uint16_t> choose_version(const Hello& hello) {
    if (hello.oldest_version == 0 || hello.oldest_version > hello.newest_version) {
        return fail("the shim announces impossible vocabulary versions " +
                    std::to_string(hello.oldest_version) + " to " +
                    std::to_string(hello.newest_version));
    }
    const std::uint16_t version = std::min(hello.newest_version, kVocabularyVersion);
    if (version >= hello.oldest_version && version >= kOldestVocabularyVersion) return version;
    const bool shim_is_older = hello.newest_version < kOldestVocabularyVersion;
    return fail("the shim speaks vocabulary version " +
                range_text(hello.oldest_version, hello.newest_version) + ", this data plane " +
                range_text(kOldestVocabularyVersion, kVocabularyVersion) + ": upgrade " +
                (shim_is_older ? "the shim" : "the data plane"));
}

Welcome make_welcome(std::uint16_t version, std::uint16_t workers, std::uint64_t instance,
                     const ChannelSizes& sizes) {
    auto welcome = make_message<Welcome>();
    welcome.version = version;
    welcome.workers = workers;
    welcome.process_id = static_cast<std::uint32_t>(getpid());
    welcome.instance = instance;
    welcome.sizes = sizes;
    welcome.command_size = sizeof(Command);
    welcome.completion_size = sizeof(Completion);
    welcome.event_size = sizeof(Event);
    return welcome;
}

Status check_welcome(const Welcome& welcome) {
    if (welcome.version < kOldestVocabularyVersion || welcome.version > kVocabularyVersion) {
        const bool data_plane_is_older = welcome.version < kOldestVocabularyVersion;
        return fail("the data plane chose vocabulary version " + std::to_string(welcome.version) +
                    ", this shim speaks " +
                    range_text(kOldestVocabularyVersion, kVocabularyVersion) + ": upgrade " +
                    (data_plane_is_older ? "the data plane" : "the shim"));
    }
    const auto differs = [](const char* what, std::uint32_t theirs, std::size_t ours) {
        return fail(std::string("the data plane's ") + what + " have " + std::to_string(theirs) +
                    " bytes, this shim's " + std::to_string(ours) +
                    ": restart both with the same build");
    };
    if (welcome.command_size != sizeof(Command)) {
        return differs("commands", welcome.command_size, sizeof(Command));
    }
    if (welcome.completion_size != sizeof(Completion)) {
        return differs("completions", welcome.completion_size, sizeof(Completion));
    }
    if (welcome.event_size != sizeof(Event)) {
        return differs("events", welcome.event_size, sizeof(Event));
    }
    return {};
}

}  // namespace wye::ring
