// Lets std::unique_ptr own the objects of C libraries, each of which has a function of its own to release it.
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
