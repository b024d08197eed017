// A std::unique_ptr deleter for objects of C libraries, which have their own release functions.
#pragma once

namespace session_buddy {

/// `std::unique_ptr<BIO, Releaser<BIO_free>>`
template <auto release>
struct Releaser {
    template <typename T>
    void operator()(T* object) const {
        release(object);
    }
};

}  // namespace session_buddy
