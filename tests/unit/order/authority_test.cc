// The authority's directory on a real file system.
#include "order/authority.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "unit/order/support.h"

namespace account::order {
namespace {

class AuthorityTest : public testing::Test {
 protected:
  AuthorityTest() {
    std::string name = (std::filesystem::temp_directory_path() / "authority.XXXXXX").string();
    path_ = ::mkdtemp(name.data());
    std::filesystem::create_directories(path_ + "/receipts");
  }
  ~AuthorityTest() override { std::filesystem::remove_all(path_); }

  AuthorityDirectory directory(const std::string& pin = "") const {
    return {FileSystem::real(), {path_, pin}};
  }
  void put(const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories(std::filesystem::path(path_ + "/" + name).parent_path());
    std::ofstream(path_ + "/" + name, std::ios::binary) << bytes;
  }
  sign::Envelope envelope(const Order& order,
                          std::initializer_list<const sign::SecretKey*> keys) const {
    return sign::parse_envelope(sign_order(order, keys), kMaxOrderBytes).value();
  }

  const Authority a_;
  std::string path_;
};

TEST(AuthoritySpecTest, ReadsPathAndPin) {
  EXPECT_EQ(parse_authority_spec("/etc/account/acme")->path, "/etc/account/acme");
  EXPECT_EQ(parse_authority_spec("/a#" + std::string(64, 'f'))->pin, std::string(64, 'f'));
  for (const char* bad : {"", "#", "/a#", "/a#ff", "#00"}) {
    EXPECT_EQ(parse_authority_spec(bad).status().code(), Code::invalid_argument) << bad;
  }
}

TEST_F(AuthorityTest, PublishesRootsAndOrdersThatVerify) {
  ASSERT_TRUE(directory().publish_root(a_.signed_root(a_.root())).ok());
  ASSERT_TRUE(directory().publish_root(a_.signed_root(a_.root(2))).ok());
  EXPECT_TRUE(std::filesystem::exists(path_ + "/root.2.json"));
  const auto published = directory().publish_order(envelope(make_stop(), {&a_.stop_a}));
  ASSERT_TRUE(published.ok()) << published.status().to_string();
  const std::string file = path_ + "/orders/" + published->order.hash_hex() + ".json";
  EXPECT_TRUE(std::filesystem::exists(file));
  std::vector<Refused> refused;
  const auto found = directory().read_orders(refused);
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ(directory(a_.chain().pin()).read_roots()->newest().version, 2);
  EXPECT_TRUE(verify_order((*found)[0].bytes, *directory().read_roots()).ok());
}

TEST_F(AuthorityTest, PublishesNothingThatWouldBeRefused) {
  ASSERT_FALSE(directory().publish_root(a_.signed_root(a_.root(2))).ok());
  ASSERT_TRUE(directory().publish_root(a_.signed_root(a_.root())).ok());
  EXPECT_FALSE(directory().publish_root(a_.signed_root(a_.root(3))).ok());
  EXPECT_FALSE(directory().publish_root(a_.signed_root(a_.root())).ok());
  EXPECT_FALSE(directory().publish_order(envelope(make_stop(), {&a_.foreign})).ok());
  EXPECT_FALSE(
      directory().publish_order(envelope(make_lift({hash_of(make_stop())}), {&a_.lift_a})).ok());
  EXPECT_TRUE(std::filesystem::is_empty(path_ + "/orders"));
}

TEST_F(AuthorityTest, HandsOnEveryOrderFileAndNoOther) {
  put("orders/a.json", "{}");
  put("orders/b.json", std::string(kMaxOrderBytes + 1, ' '));
  put("orders/.hidden.json", "{}");
  put("orders/c.json.1.tmp", "{}");
  put("orders/notes.txt", "{}");
  std::vector<Refused> refused;
  const auto found = directory().read_orders(refused);
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ((*found)[0].place, "orders/a.json");
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].place, "orders/b.json");
}

TEST_F(AuthorityTest, FailsWhereAnOrderOrARootCannotBeRead) {
  std::vector<Refused> refused;
  EXPECT_FALSE(directory().read_roots().ok());
  EXPECT_FALSE(directory().read_orders(refused).ok());  // no orders folder: not "no orders"
  std::filesystem::create_directories(path_ + "/orders/a.json");
  EXPECT_FALSE(directory().read_orders(refused).ok());
}

TEST_F(AuthorityTest, KeepsTheChainWhenRubbishIsPutBehindIt) {
  ASSERT_TRUE(directory().publish_root(a_.signed_root(a_.root())).ok());
  put("root.2.json", std::string(kMaxRootBytes + 1, ' '));
  const auto chain = directory().read_roots();
  ASSERT_TRUE(chain.ok());
  EXPECT_EQ(chain->newest().version, 1);
  EXPECT_EQ(chain->problems().size(), 1u);
}

TEST_F(AuthorityTest, ReadsBackReceiptsByOrder) {
  Receipt receipt;
  receipt.order = hash_of(make_stop());
  receipt.authority = a_.chain().pin();
  receipt.run = "r7", receipt.node = "1f00ba5e", receipt.state = "quiet", receipt.how = "agreed";
  receipt.stop_edge = 12;
  receipt.latched_unix_ns = kNow * 1'000'000'000 + 1;
  receipt.job.run = "r7", receipt.job.origins = {"w"};
  receipt.ranks = {{0, "quiet", 12}, {1, "quiet", 12}};
  ASSERT_TRUE(directory().put_receipt(receipt).ok());
  Receipt another = receipt;
  another.order = sign::sha256("another");
  ASSERT_TRUE(directory().put_receipt(another).ok());
  put("receipts/rubbish.json", "{}");
  EXPECT_EQ(directory().read_receipts()->size(), 2u);
  const auto read = directory().read_receipts(receipt.order);
  ASSERT_TRUE(read.ok());
  ASSERT_EQ(read->size(), 1u);
  EXPECT_EQ(write_receipt((*read)[0]), write_receipt(receipt));
  const std::vector<Trace> traces = traces_of(*read);
  EXPECT_EQ(traces[0].frozen->origins, std::vector<std::string>{"w"});
  EXPECT_EQ(traces[0].kind, Trace::Kind::receipt);
}

TEST_F(AuthorityTest, RefusesReceiptsThatNameAPath) {
  Receipt receipt;
  receipt.run = "../../etc/x", receipt.node = "1f00ba5e";
  EXPECT_FALSE(directory().put_receipt(receipt).ok());
}

}  // namespace
}  // namespace account::order
