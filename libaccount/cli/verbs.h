// The verbs of `account`, one file each. Each adds itself to the program.
#pragma once

#include <string>
#include <vector>

#include "cli/verb.h"

namespace account::cli {

// `command` is what stands behind "--": the program that `run` would start.
void add_run(const Verb& program, const std::vector<std::string>& command);
void add_may_start(const Verb& program, const std::vector<std::string>& command);
void add_keeper(const Verb& program);
void add_stop(const Verb& program);
void add_pause(const Verb& program);
void add_rehearse(const Verb& program);
void add_lift(const Verb& program);
void add_resume(const Verb& program);
void add_lease(const Verb& program);
void add_status(const Verb& program);
void add_doctor(const Verb& program, const std::vector<std::string>& command);
void add_verify(const Verb& program);
void add_prove(const Verb& program);
void add_sign(const Verb& program);
void add_anchor(const Verb& program);
void add_report(const Verb& program);
void add_incident(const Verb& program);
void add_archive(const Verb& program);
void add_ceiling(const Verb& program);
void add_cost(const Verb& program);
void add_estimate(const Verb& program);
void add_record(const Verb& program);
void add_history(const Verb& program);
void add_parent(const Verb& program);
void add_declare(const Verb& program);
void add_key(const Verb& program);
void add_policy(const Verb& program);
void add_acknowledge(const Verb& group);  // a verb of `policy`
void add_root(const Verb& program);
void add_root_show(const Verb& group);  // verbs of `root`
void add_root_lint(const Verb& group);
void add_root_log(const Verb& group);
void add_order(const Verb& program);
void add_order_why(const Verb& group);  // verbs of `order`
void add_order_dossier(const Verb& group);
void add_order_unlock(const Verb& group);

}  // namespace account::cli
