// Delivery: puts a signed order where jobs read it, and waits for what they answer to a stop, a
// pause, a rehearsal. Shared by those verbs, `lift`, `resume` and `order send`.
#pragma once

#include <optional>
#include <string>

#include "cli/order_words.h"
#include "cli/verb.h"
#include "order/order.h"
#include "sign/sign.h"

namespace account::cli {

// The words of whoever waits for answers.
struct WaitWords {
  std::optional<std::string> wait;  // seconds
  std::optional<std::string> then;  // a command for where not all have answered by then
  bool no_wait = false, json = false;
};
void add_wait_options(const Verb& verb, WaitWords& words);

// Delivers, says what it said, and returns the exit code: 0 delivered (of a stop: all in scope that
// answered, and all that run on this node, are quiet; likewise waiting, or through with a
// rehearsal), 5 an order that nobody answered in time or that somebody has not yet obeyed. `verb`
// is what failures are called.
int deliver(const std::string& verb, const OpenAuthority& authority, const sign::Envelope& envelope,
            const WaitWords& words);

// Writes the order to a file for those who sign it elsewhere, and says so.
int put_draft(const std::string& verb, const std::string& path, const sign::Envelope& envelope,
              bool json);

// "stop of model acme/chat-7b", "lift of 2 stops": what it does, in a few words.
std::string describe(const order::Order& order);

}  // namespace account::cli
