setup() { :; } # => function setup
@test "adds two numbers" { # => function adds two numbers
  run true
}
@test 'single quoted' { true; } # => function single quoted
