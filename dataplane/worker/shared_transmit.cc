#include "dataplane/worker/shared_transmit.hh"

namespace wye::worker {

using pipeline::Frame;

class SharedTransmit::End final : public PortIo {
  public:
    explicit End(SharedTransmit& shared) : shared_(shared) {
        limit_frames(shared.device_.longest_untagged(), shared.device_.longest_tagged());
    }
    std::size_t receive(std::span<Frame>) noexcept override { return 0; }
    std::size_t transmit(std::span<const Frame> frames) noexcept override {
        return shared_.transmit(frames);
    }

  private:
    SharedTransmit& shared_;
};

class SharedTransmit::Receiver final : public PortIo {
  public:
    explicit Receiver(SharedTransmit& shared) : shared_(shared) {}
    std::size_t receive(std::span<Frame> out) noexcept override {
        shared_.flush();
        if (!shared_.apart_ && shared_.busy_.exchange(true, std::memory_order_seq_cst)) return 0;
        const std::size_t n = shared_.device_.receive(out);
        if (!shared_.apart_) {
            shared_.busy_.store(false, std::memory_order_seq_cst);
            shared_.flush();
        }
        not_contiguous_ += shared_.device_.take_not_contiguous();
        return n;
    }
    std::size_t transmit(std::span<const Frame> frames) noexcept override {
        return shared_.transmit(frames);
    }
    [[nodiscard]] int wait_descriptor() const noexcept override {
        return shared_.device_.wait_descriptor();
    }

  private:
    SharedTransmit& shared_;
};

SharedTransmit::~SharedTransmit() {
    pool_.release({next_.data() + next_begin_, next_end_ - next_begin_});
    Frame frame;
    while (waiting_.pop(frame)) pool_.release({&frame, 1});
}

std::unique_ptr<PortIo> SharedTransmit::end() {
    return std::make_unique<End>(*this);
}

std::unique_ptr<PortIo> SharedTransmit::receiver() {
    return std::make_unique<Receiver>(*this);
}

bool SharedTransmit::send_waiting() noexcept {
    while (true) {
        if (next_begin_ == next_end_) {
            next_begin_ = next_end_ = 0;
            while (next_end_ < next_.size() && waiting_.pop(next_[next_end_])) ++next_end_;
            if (next_end_ == 0) return true;
        }
        next_begin_ += device_.transmit({next_.data() + next_begin_, next_end_ - next_begin_});
        const bool full = next_begin_ != next_end_;
        next_waits_.store(full, std::memory_order_relaxed);
        if (full) return false;
    }
}

std::size_t SharedTransmit::transmit(std::span<const Frame> frames) noexcept {
    std::size_t taken = 0;
    if (!busy_.exchange(true, std::memory_order_seq_cst)) {
        if (send_waiting()) taken = device_.transmit(frames);
        busy_.store(false, std::memory_order_seq_cst);
    } else {
        while (taken < frames.size() && waiting_.push(frames[taken])) ++taken;
    }
    flush();
    return taken;
}

/// Looks again after it gave the flag back: what was left meanwhile is nobody else's to send.
void SharedTransmit::flush() noexcept {
    bool room = true;
    while (room && (!waiting_.empty() || next_waits_.load(std::memory_order_relaxed)) &&
           !busy_.exchange(true, std::memory_order_seq_cst)) {
        room = send_waiting();
        busy_.store(false, std::memory_order_seq_cst);
    }
}

}  // namespace wye::worker
