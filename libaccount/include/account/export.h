// Visibility of the public API. Everything without ACCOUNT_API stays hidden in libaccount.so.
#pragma once

#define ACCOUNT_API [[gnu::visibility("default")]]
