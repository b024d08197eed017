// Lambdas as one visitor of a variant.
#pragma once

namespace session_buddy {

/// For std::visit: has the calls of all `Calls`. A visitor that misses an alternative does not compile.
template <typename... Calls>
struct Overloaded : Calls... {
    using Calls::operator()...;
};
template <typename... Calls>
Overloaded(Calls...) -> Overloaded<Calls...>;

}  // namespace session_buddy
