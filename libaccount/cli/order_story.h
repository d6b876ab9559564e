// What a run's ledgers say of the orders that it was given: obeyed, quiet, refused, lifted; its
// rehearsals; and the exports that were tried. Shared by `order why` and `order dossier`.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "ledger/ledger.h"

namespace account::cli {

struct Latched {  // on one node
  std::string node, because;
  int64_t unix_ns = 0;
};

struct Quiet {  // on one node
  std::string node, how;
  int64_t stop_edge = 0;
  Json ranks;
};

struct Rehearsal {  // on one node
  std::string node, order, ending, how;
  int64_t step = 0, quiet_after_ns = 0, unix_ns = 0;
};

struct Lapse {  // of a lease, on one node
  std::string node, lease, because;
  int64_t unix_ns = 0;
};

// A checkpoint that the run wrote where anybody who has the file can use it; as far as the job
// told.
struct PlainSave {
  std::string node, name;
  int64_t step = 0;
};

struct Story {
  std::string order;  // hash
  std::string what;   // "stop of job r7 by safety officer: evaluation 12 failed"
  std::string reason, ordered_by;
  Json scope;
  std::vector<Latched> latched;
  std::vector<Quiet> quiet;
  int64_t starts_refused = 0;
  std::string refused_because;
  std::set<std::string> lifted_by;  // hashes of lifts
};

// Of a report that verified.
class Stories {
 public:
  explicit Stories(const ledger::Report& report);

  std::vector<Story> all() const;
  const std::vector<Rehearsal>& rehearsals() const { return rehearsals_; }
  const std::vector<Lapse>& lapses() const { return lapses_; }
  // Exports that were tried and refused, by the way that they were tried.
  const std::map<std::string, int64_t>& refused_exports() const { return refused_exports_; }
  // In the order of the ledgers.
  const std::vector<PlainSave>& plain_saves() const { return plain_saves_; }

 private:
  Story& story(const std::string& hash);
  void read(const std::string& node, const Json& line);
  void add_order(const std::string& node, const Json& line);
  void add_quiet(const std::string& node, const Json& line);
  void add_rehearsal(const std::string& node, const Json& line);
  void add_lift(const Json& line);

  std::map<std::string, Story> by_hash_;
  std::vector<Rehearsal> rehearsals_;
  std::vector<Lapse> lapses_;
  std::map<std::string, int64_t> refused_exports_;
  std::vector<PlainSave> plain_saves_;
};

Json to_json(const Story& story);
Json to_json(const Rehearsal& rehearsal);
Json to_json(const Lapse& lapse);
Json to_json(const std::map<std::string, int64_t>& refused_exports);
Json to_json(const std::vector<PlainSave>& plain_saves);
void put(const Story& story);
void put(const Rehearsal& rehearsal);
void put(const Lapse& lapse);
void put(const std::map<std::string, int64_t>& refused_exports);
void put(const std::vector<PlainSave>& plain_saves);

}  // namespace account::cli
