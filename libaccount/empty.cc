// libaccount.so is made of the folders' libraries; CMake wants one source of its own.
