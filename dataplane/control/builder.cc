#include "dataplane/control/builder.hh"

#include <sys/eventfd.h>

#include <utility>

namespace wye::control {

void AclBuild::advance() {
    if (step == Step::fresh) {
        auto built = table::build_acl(rules, former.get());
        step = built ? Step::measured : Step::failed;
        if (!built) return;
        bytes = built->bytes();
        plan = built->plan();
        former.reset();
        image = std::move(*built);
        return;
    }
    if (step != Step::measured) return;
    const bool written = image->write(default_permit, counter_base, memory).has_value();
    step = written ? Step::compiled : Step::failed;
    image.reset();
}

Builder::Builder(bool with_thread) {
    if (!with_thread) return;
    wakeup_ = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    thread_ = std::thread([this] { run(); });
}

Builder::~Builder() {
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    work_.notify_one();
    thread_.join();
}

void Builder::submit(std::shared_ptr<AclBuild> build) {
    if (!thread_.joinable()) {
        build->advance();
        return;
    }
    build->busy.store(true, std::memory_order_relaxed);
    ++unheard_;
    {
        const std::lock_guard lock(mutex_);
        queue_.push_back(std::move(build));
    }
    work_.notify_one();
}

void Builder::drain_wakeup() noexcept {
    eventfd_t count = 0;
    if (unheard_ != 0 && eventfd_read(wakeup_.get(), &count) == 0) unheard_ -= count;
}

void Builder::run() {
    for (;;) {
        std::shared_ptr<AclBuild> build;
        {
            std::unique_lock lock(mutex_);
            work_.wait(lock, [this] { return stop_ || !queue_.empty(); });
            if (stop_) return;
            build = std::move(queue_.front());
            queue_.pop_front();
        }
        build->advance();
        build->busy.store(false, std::memory_order_release);
        eventfd_write(wakeup_.get(), 1);
    }
}

}  // namespace wye::control
