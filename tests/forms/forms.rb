module Shapes # => module Shapes
  A, B = 1, 2 # => constant A in Shapes, constant B in Shapes
  LAZY ||= 3 # => constant LAZY in Shapes
  class Circle < Base # => class Circle in Shapes
    attr_reader :label, 'size' # => method label in Circle, method size in Circle
    attr_accessor :colour # => method colour in Circle, method colour= in Circle
    attr_writer :weight # => method weight= in Circle
    alias old_area area # => method old_area in Circle
    alias_method :new_area, :area # => method new_area in Circle
    define_method(:dynamic) { 1 } # => method dynamic in Circle
    def label=(value); local = 1; end # => method label= in Circle
    def empty?; end # => method empty? in Circle
    def self.build; end # => method build in Circle
    private def hidden; end # => method hidden in Circle
    scope :recent, -> { 1 } # => method recent in Circle
  end
  Point = Struct.new(:x) do # => class Point in Shapes
    def distance; end # => method distance in Point
  end
  def helper; end # => method helper in Shapes
end
Shapes::EXTRA = 5 # => constant EXTRA in Shapes
namespace :db do # => module db
  task :migrate => [:environment] do # => function migrate in db
  end
  task seed: :migrate # => function seed in db
end
def top; end # => function top
