// Status: the failure value of the whole library. Must not know who fails.
#include "account/status.h"

#include <utility>

namespace account {

std::string_view code_name(Code code) noexcept {
  switch (code) {
    case Code::ok:
      return "ok";
    case Code::invalid_argument:
      return "invalid_argument";
    case Code::not_found:
      return "not_found";
    case Code::corrupt:
      return "corrupt";
    case Code::unverified:
      return "unverified";
    case Code::expired:
      return "expired";
    case Code::replayed:
      return "replayed";
    case Code::out_of_scope:
      return "out_of_scope";
    case Code::threshold_reached:
      return "threshold_reached";
    case Code::shutdown_ordered:
      return "shutdown_ordered";
    case Code::io:
      return "io";
    case Code::unavailable:
      return "unavailable";
    case Code::internal:
      return "internal";
  }
  return "internal";
}

Status::Status(Code code, std::string fault, std::string next_step) {
  if (code == Code::ok) return;
  state_ = std::make_unique<State>(State{code, std::move(fault), std::move(next_step)});
}

Status::Status(const Status& other)
    : state_(other.state_ ? std::make_unique<State>(*other.state_) : nullptr) {}

Status& Status::operator=(const Status& other) {
  if (this != &other) state_ = other.state_ ? std::make_unique<State>(*other.state_) : nullptr;
  return *this;
}

std::string_view Status::fault() const noexcept {
  return state_ ? std::string_view(state_->fault) : std::string_view();
}

std::string_view Status::next_step() const noexcept {
  return state_ ? std::string_view(state_->next_step) : std::string_view();
}

std::string Status::to_string() const {
  if (ok()) return "ok";
  return state_->next_step.empty() ? state_->fault : state_->fault + "; " + state_->next_step;
}

Status Status::with_context(std::string_view context) const {
  if (ok()) return {};
  return {state_->code, std::string(context) + ": " + state_->fault, state_->next_step};
}

}  // namespace account
