readonly VERSION=1 # => constant VERSION
declare -r FIXED=2 # => constant FIXED
export SEARCH_PATH=/x # => constant SEARCH_PATH
plain=3
alias ll='ls -l' # => function ll
one() { local hidden=1; } # => function one
function two { :; } # => function two
with-dash() ( : ) # => function with-dash
cat <<END
not_a_function() { :; }
END
